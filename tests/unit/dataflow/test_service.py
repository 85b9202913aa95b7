"""A dataflow runs beside other services, and the program's end is its graceful end."""

from pathlib import Path

from tests.unit.dataflow.support_flows import Collector, count_forever, count_to_100

from mainspring.dataflow import Dataflow, Runner
from mainspring.dataflow._service import DataflowService
from mainspring.runtime import entrypoint
from mainspring.testing import eventually


async def test_the_end_of_the_program_finishes_what_is_on_its_way(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    flow = Dataflow("f", [Runner(count_forever), Runner(collector)], mode="inline")
    service = DataflowService(flow=flow)
    async with entrypoint(service):
        assert service.ready
        await eventually(lambda: collector.lines(), within=20.0)
    got = [int(line) for line in collector.lines()]
    assert list(range(len(got))) == got
    assert 0 == flow.stats().edges[0].in_flight_count


async def test_a_dataflow_may_end_before_the_program(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    flow = Dataflow("f", [Runner(count_to_100), Runner(collector)], mode="inline")
    async with entrypoint(DataflowService(flow=flow)):
        await flow.wait()
    assert 100 == len(collector.lines())
