"""What workers report is counted once, by stage and by edge, with rates; everybody can see it."""

from typing import Any

from tests.unit.dataflow.support_flows import count_forever

from mainspring.base import get_statistics
from mainspring.dataflow import Dataflow, EdgeStatistic, Process, Runner, StageStatistic
from mainspring.dataflow._statistics import FlowCounts
from mainspring.testing import VirtualClock, eventually

ZERO = dict.fromkeys(
    (
        "received",
        "handled",
        "failed",
        "written",
        "sent",
        "sent_bytes",
        "acknowledged",
        "dropped",
        "lost",
        "redelivered",
    ),
    0,
)


def counts(**some: float) -> dict[str, float]:
    return {**ZERO, "seconds": 0.0, "in_flight": 0, **some}


def take(p: Process, message: Any) -> None: ...


async def test_what_a_worker_says_again_is_counted_once(virtual_clock: VirtualClock) -> None:
    flow = Dataflow("f", [Runner(count_forever), Runner(take, 2)])
    kept = FlowCounts("f", flow.topology)
    for handled in (10, 30):
        await virtual_clock.advance(1.0)
        kept.report(1, "1.0", counts(handled=handled, seconds=handled / 100))
        kept.report(1, "1.1", counts(handled=5, seconds=0.05))
        kept.report(0, "0.0", counts(sent=2 * handled, in_flight=7))
    (source, taker), (edge,) = kept.stats().stages, kept.stats().edges
    assert (0, 35, 0.01, 17.5) == (source.handled_count, taker.handled_count, taker.service_time, taker.rate)
    assert (60, 7, 30.0) == (edge.sent_count, edge.in_flight_count, edge.rate)
    kept.ended("0.0")
    kept.ended("1.0")
    kept.report(1, "1.0", counts(handled=1))
    await virtual_clock.advance(100.0)
    assert (36, 0.0, 0) == (
        kept.stats().stages[1].handled_count, kept.stats().stages[1].rate, kept.stats().edges[0].in_flight_count,
    )  # fmt: skip


async def test_a_running_dataflow_shows_its_rates_to_everybody() -> None:
    flow = Dataflow("f", [Runner(count_forever), Runner(take)])
    assert [None, None] == [one.stats for one in flow.graph().stages]
    async with flow:
        # Each worker reports for itself: that of the second stage may be heard before that of the first.
        await eventually(lambda: flow.stats().stages[1].rate > 0 < flow.stats().edges[0].rate, within=30.0)
        graph = flow.graph()
        assert graph.stages[1].stats is not None
        assert graph.edges[0].stats is not None
        assert graph.stages[1].stats.rate > 0 < graph.edges[0].stats.rate
        shown = {(one.name, one.metric): one.value for one in get_statistics(StageStatistic, EdgeStatistic)}
        assert shown["f: 1 take", "handled"] > 0 < shown["f: 0 count_forever > 1 take", "sent"]
