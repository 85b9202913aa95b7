"""Runs that nobody takes are told in the log, once, and when it is no matter of a restart."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.errors import StoreBusyError
from mainspring.jobs import Alert, JobApp, JobEvent, RunState
from mainspring.jobs.engine._alerts import MOST_WAITING
from mainspring.jobs.stores import EventKind, JobRow, MemoryData, MemoryStore, NodeTakes, RunRecord, StrandedRow
from mainspring.testing import VirtualClock


async def nothing() -> None: ...


def app_with(data: MemoryData, *jobs: str, queue: str = "default", alert: Any = None, own_alert: Any = None) -> JobApp:
    app = JobApp("strays", store=MemoryStore(data), poll_interval=5.0, alert=alert)
    for job in jobs:
        app.job(job, queue=queue, alert=own_alert)(nothing)
    return app


class Told:
    """Keeps the alerts that it is told."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    async def __call__(self, alert: Alert) -> None:
        self.alerts.append(alert)


async def test_runs_of_a_job_that_is_gone_are_told_once(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    data = MemoryData()
    old, new = app_with(data, "kept", "gone"), app_with(data, "kept")
    await old.open(runner=False)
    run = await old.run_job("gone", wait=False)
    async with running(new):
        await virtual_clock.advance(30)
        assert "wait in queue" not in caplog.text, "programs may be being replaced"
        await virtual_clock.advance(300)
        assert 1 == caplog.text.count("runs of job 'gone' wait in queue 'default'")
        async with new.reading() as reader:
            assert [("gone", "default")] == [(row.job_id, row.queue) for row in await reader.stranded()]
        await old.close()
        async with running(old):
            await virtual_clock.advance(10)
            record = await old.run(run.run_id)
            assert record is not None
            assert record.state.terminal
            assert "gone" not in [row.job_id for row in await new.store.stranded()]


async def test_runs_of_a_queue_that_is_served_by_none_are_told(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with(MemoryData(), "heavy", queue="cpu")
    async with running(app):
        await app.run_job("heavy", wait=False)
        await virtual_clock.advance(200)
    assert 1 == caplog.text.count("runs of job 'heavy' wait in queue 'cpu'")


async def test_an_app_that_asks_its_store_once_a_day_does_not_look_more_often(virtual_clock: VirtualClock) -> None:
    """Nor for changes, for runs that wait, or for what is to be pruned: so a year of it takes a second."""
    looks: Counter[str] = Counter()

    class Counting(MemoryStore):
        async def stranded(self) -> Sequence[StrandedRow]:
            looks["stranded"] += 1
            return await super().stranded()

        async def jobs(self) -> Sequence[JobRow]:
            looks["jobs"] += 1
            return await super().jobs()

        async def waiting(self, **asked: Any) -> Sequence[RunRecord]:
            looks["waiting"] += 1
            return await super().waiting(**asked)

        async def job_counts(self) -> Sequence[tuple[str, str, int]]:
            looks["job_counts"] += 1
            return await super().job_counts()

    app = JobApp("seldom", store=Counting(MemoryData()), poll_interval=86_400)
    app.job("daily", every=86_400)(nothing)
    async with running(app):
        await virtual_clock.advance(3 * 86_400)
    assert {"stranded", "jobs", "waiting", "job_counts"} == looks.keys()
    assert max(looks.values()) <= 10


async def test_a_job_that_is_gone_alerts_once_until_it_is_back(virtual_clock: VirtualClock) -> None:
    data, told, other_told = MemoryData(), Told(), Told()
    old, new = app_with(data, "kept", "gone"), app_with(data, "kept", alert=told)
    beside = app_with(data, "kept", alert=other_told)
    await old.open(runner=False)
    runs = [await old.run_job("gone", wait=False) for _ in range(3)]
    async with running(new):
        await virtual_clock.advance(600)
        seen: list[JobEvent] = []
        for one in (new, beside):
            one.stream.listen(seen.append)
        async with running(beside):
            await virtual_clock.advance(600)
            (alert,) = told.alerts
            assert [] == other_told.alerts, "another node has told"
            assert ("stranded", "gone", runs[0].run_id, 3) == (
                alert.kind,
                alert.job_id,
                alert.run_id,
                alert.run_count,
            )
            assert (RunState.AVAILABLE, 0, "default", None) == (alert.state, alert.attempt, alert.queue, alert.sla)
            assert alert.since is not None
            assert alert.text.startswith(
                "gone in queue 'default' is taken by no node that runs: 3 runs of it wait there, since"
            )
            assert [EventKind.STRANDED] == [event.kind for event in await new.store.events(runs[0].run_id)]
            await old.close()
            async with running(old):
                await virtual_clock.advance(200)
            await old.open(runner=False)
            run = await old.run_job("gone", wait=False)
            await virtual_clock.advance(200)
            assert [run.run_id] == [event.record.run_id for event in seen if event.name == "stranded"]
    alerts = [*told.alerts, *other_told.alerts]
    assert [runs[0].run_id, run.run_id] == [alert.run_id for alert in alerts]
    assert "gone in queue 'default' is taken by no node that runs: 1 run of it waits there" in alerts[1].text
    await old.close()


@pytest.mark.parametrize(("own", "expected"), [(None, ["app"]), (False, []), ("itself", ["job"])])
async def test_a_known_job_of_a_queue_that_none_serves_goes_by_its_own_alert(
    virtual_clock: VirtualClock, own: Any, expected: list[str]
) -> None:
    of_app, of_job = Told(), Told()
    app = app_with(MemoryData(), "heavy", queue="cpu", alert=of_app, own_alert=of_job if own == "itself" else own)
    async with running(app):
        await app.run_job("heavy", wait=False)
        await virtual_clock.advance(200)
    assert expected == [*("app" for _ in of_app.alerts), *("job" for _ in of_job.alerts)]


async def test_a_job_that_waits_in_two_queues_alerts_once(virtual_clock: VirtualClock) -> None:
    data, told = MemoryData(), Told()
    for queue in ("first", "second"):
        moved = app_with(data, "gone", queue=queue)
        await moved.open(runner=False)
        await moved.run_job("gone", wait=False)
        await moved.close()
        await virtual_clock.advance(1)
    async with running(app_with(data, "kept", alert=told)):
        await virtual_clock.advance(200)
    assert [("first", 1)] == [(alert.queue, alert.run_count) for alert in told.alerts]


async def test_runs_of_another_queue_that_is_served_are_not_counted(virtual_clock: VirtualClock) -> None:
    """The job has moved to a queue whose node is busy: its runs there wait as they should."""
    data, told = MemoryData(), Told()
    for queue, count in (("a", 1), ("b", 40)):
        moved = app_with(data, "moved", queue=queue)
        await moved.open(runner=False)
        for _ in range(count):
            await moved.run_job("moved", wait=False)
        await moved.close()
    store = MemoryStore(data)
    await store.open()
    takes = NodeTakes(jobs=frozenset({"moved"}), queues=frozenset({"b"}))
    await store.open_node("busy", takes=takes)
    async with running(app_with(data, "kept", alert=told)):
        await virtual_clock.advance(200)
    await store.close()
    (alert,) = told.alerts
    assert ("a", 1) == (alert.queue, alert.run_count)
    assert alert.text.startswith("moved in queue 'a' is taken by no node that runs: 1 run of it waits there, since")


async def test_more_jobs_than_alerts_can_wait_are_all_told(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    data, told = MemoryData(), Counter[str]()

    async def tell(alert: Alert) -> None:
        await asyncio.sleep(1)
        told[alert.job_id] += 1

    names = [f"gone{number}" for number in range(2 * MOST_WAITING + 50)]
    old = app_with(data, *names)
    await old.open(runner=False)
    for name in names:
        await old.run_job(name, wait=False)
    await old.close()
    async with running(app_with(data, "kept", alert=tell)):
        await virtual_clock.advance(300)
    assert Counter(names) == told
    assert "dropped" not in caplog.text


async def test_an_app_that_ends_while_they_wait_tells_the_others_when_it_is_back(virtual_clock: VirtualClock) -> None:
    data, told, goes_on = MemoryData(), Counter[str](), asyncio.Event()

    async def tell(alert: Alert) -> None:
        await goes_on.wait()
        told[alert.job_id] += 1

    names = [f"gone{number}" for number in range(MOST_WAITING + 50)]
    old = app_with(data, *names)
    await old.open(runner=False)
    for name in names:
        await old.run_job(name, wait=False)
    await old.close()
    await virtual_clock.advance(120)  # so that the first look finds them
    async with running(app_with(data, "kept", alert=tell)):
        await virtual_clock.advance(5)
        goes_on.set()
    assert MOST_WAITING <= told.total() < len(names)
    async with running(app_with(data, "kept", alert=tell)):
        await virtual_clock.advance(200)
    assert Counter(names) == told


async def test_a_store_that_fails_is_asked_again_before_it_is_told(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(MemoryStore):
        left = 2

        async def note_stranded(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
            self.left -= 1
            if self.left >= 0:
                raise StoreBusyError(store="memory", reason="it is away")
            return await super().note_stranded(run_ids)

    data, told = MemoryData(), Told()
    old = app_with(data, "gone")
    await old.open(runner=False)
    await old.run_job("gone", wait=False)
    await old.close()
    app = JobApp("strays", store=Fails(data), alert=told)
    app.job("kept")(nothing)
    async with running(app):
        await virtual_clock.advance(300)
    assert 2 == caplog.text.count("cannot look for runs that nobody takes")
    assert 1 == caplog.text.count("runs of job 'gone' wait")
    assert ["gone"] == [alert.job_id for alert in told.alerts]
