"""A node keeps its lease, takes over from the dead, and lives through trouble of its store."""

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running

from mainspring.base import current_clock, new_id
from mainspring.errors import ClosedError, LeaseLostError, MisuseError, StaleFenceError, StoreBusyError
from mainspring.jobs import Alert, Every, JobApp, JobContext, RunState
from mainspring.jobs.stores import (
    Claim,
    ClaimAnswer,
    Enqueue,
    Finish,
    HeartbeatAnswer,
    JobRow,
    MemoryStore,
    NewRun,
    NodeTakes,
    RunKind,
    RunRecord,
    SqliteStore,
)
from mainspring.testing import VirtualClock


class Trouble(SqliteStore):
    """A store whose next calls fail as they are told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durability="memory")
        self.failures: dict[str, list[Exception]] = {}
        self.known_end: float | None = None

    def _fail(self, call: str) -> None:
        waiting = self.failures.get(call)
        if waiting:
            raise waiting.pop(0)

    async def open_node(self, name: str, *, takes: NodeTakes | None = None) -> int:
        self._fail("open_node")
        return await super().open_node(name, takes=takes)

    async def close_node(self, epoch: int) -> None:
        self._fail("close_node")
        await super().close_node(epoch)

    def lease_end(self, epoch: int) -> float:
        return super().lease_end(epoch) if self.known_end is None else self.known_end

    async def claim(self, command: Claim) -> ClaimAnswer:
        self._fail("claim")
        return await super().claim(command)

    async def finish(self, command: Finish) -> RunRecord:
        self._fail("finish")
        return await super().finish(command)

    async def heartbeat(self, epoch: int) -> Any:
        self._fail("heartbeat")
        return await super().heartbeat(epoch)

    async def advance(self, commands: Any) -> Any:
        self._fail("advance")
        return await super().advance(commands)

    async def waiting(self, **options: Any) -> Sequence[RunRecord]:
        self._fail("waiting")
        return await super().waiting(**options)

    async def backfills(self, **options: Any) -> Any:
        self._fail("backfills")
        return await super().backfills(**options)


def troubled(path: Path) -> tuple[JobApp, Trouble]:
    store = Trouble(path / "state.db")
    return JobApp("test", store=store, poll_interval=0.02), store


def busy() -> Exception:
    return StoreBusyError(store="state.db", reason="held by a test")


@pytest.mark.parametrize("kind", [busy, lambda: sqlite3.OperationalError("out of the blue")])
async def test_store_trouble_on_every_path_is_lived_through(tmp_path: Path, kind: Callable[[], Exception]) -> None:
    app, store = troubled(tmp_path)
    seen: list[int] = []

    @app.job("tick", every=0.02, missed="all")
    async def tick() -> None:
        seen.append(1)

    @app.job("after", every=0.02, missed="all", needs=("tick",))
    async def after() -> None: ...

    paths = ("claim", "finish", "heartbeat", "advance", "waiting", "backfills")
    async with running(app):
        store.failures = {call: [kind()] for call in paths}

        async def through() -> bool:
            return not any(store.failures.values()) and len(seen) > 3

        await eventually(through)


async def test_a_finish_that_was_fenced_out_is_not_recorded_twice(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)

    @app.job("once")
    async def once() -> None: ...

    async with running(app):
        store.failures = {"finish": [StaleFenceError(run_id="x", fence=1)]}
        result = await app.run_job("once", wait=False)

        async def gone() -> bool:
            return not store.failures["finish"]

        await eventually(gone)
        record = await app.run(result.run_id)
    assert record is not None


@pytest.mark.parametrize("call", ["claim", "heartbeat"])
async def test_a_lost_lease_cancels_handlers_and_the_run_is_done_again(tmp_path: Path, call: str) -> None:
    app, store = troubled(tmp_path)
    started: list[int] = []

    @app.job("slow")
    async def slow() -> str:
        started.append(1)
        if len(started) == 1:
            await asyncio.Event().wait()
        return "second"

    async with running(app):
        result = await app.run_job("slow", wait=False)

        async def begun() -> bool:
            return bool(started)

        await eventually(begun)
        opened = await app.open()
        epoch = opened.node.epoch
        await store.close_node(epoch)  # what a rescue by another node does to it
        store.failures = {call: [LeaseLostError(epoch=epoch)]}
        opened.node.wake()

        async def done() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.SUCCEEDED

        await eventually(done)
        assert opened.node.epoch > epoch
    assert len(started) == 2


async def test_handlers_end_before_a_lease_that_cannot_be_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No other node can have the run yet: it is handed back, and begins again when the lease is sure."""
    app, store = troubled(tmp_path)
    started: list[int] = []

    @app.job("slow")
    async def slow() -> str:
        started.append(1)
        if len(started) == 1:
            await asyncio.Event().wait()
        return "second"

    async with running(app):
        epoch = (await app.open()).node.epoch
        result = await app.run_job("slow", wait=False)

        async def begun() -> bool:
            return bool(started)

        await eventually(begun)
        store.known_end = current_clock().monotonic() + 4.0  # that is, as if no beat came through any more

        async def given_up() -> bool:
            return any("cannot be renewed: 1 handlers" in one.getMessage() for one in caplog.records)

        await eventually(given_up)
        store.known_end = None

        async def done() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.SUCCEEDED

        await eventually(done)
        record = await app.run(result.run_id)
        assert record is not None
        assert (1, 0, epoch) == (record.attempt, record.rescues, (await app.open()).node.epoch)


async def test_nothing_begins_while_the_lease_cannot_be_renewed(tmp_path: Path) -> None:
    """Another node may have it from the lease's end on, and who has just begun would not have ended by then."""
    app, store = troubled(tmp_path)
    begun: list[str] = []

    @app.job("work")
    async def work() -> None:
        begun.append("run")

    async def wait_for_lease() -> None:
        async with app.lease("mail"):
            begun.append("lease")

    async with running(app):
        node = (await app.open()).node
        store.known_end = current_clock().monotonic() + 4.0  # that is, as if no beat came through any more

        async def is_ending() -> bool:
            return node.is_ending

        await eventually(is_ending)
        with pytest.raises(LeaseLostError):
            async with app.lease("mail", wait=False):
                pass
        waiting = asyncio.create_task(wait_for_lease())
        result = await app.run_job("work", wait=False)
        for _ in range(20):
            await app.run(result.run_id)
        assert [] == begun
        store.known_end = None
        await waiting
        assert (await app.run_job("work")).ok
    assert {"lease", "run"} == set(begun)


class CutOff(MemoryStore):
    """A store that takes no heartbeat."""

    async def heartbeat(self, epoch: int) -> HeartbeatAnswer:
        raise busy()


def test_handlers_end_before_their_lease_however_rarely_the_node_looks() -> None:
    app = JobApp("t", store=CutOff(lease=30.0), poll_interval=10.0)
    ended: list[float] = []

    @app.job("slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(current_clock().monotonic())

    async def main() -> float:
        async with running(app):
            began = current_clock().monotonic()
            await app.run_job("slow", wait=False)
            await asyncio.sleep(29)
            return ended[0] - began

    with VirtualClock(START) as clock:
        assert 24.9 < clock.run(main()) < 25.1


async def test_an_app_whose_epoch_cannot_be_closed_still_tells_its_callers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, store = troubled(tmp_path)
    app.job("elsewhere", queue="elsewhere")(says_hello)
    await app.open()
    waiting = asyncio.create_task(app.run_job("elsewhere"))

    async def stored() -> bool:
        return bool(await app.runs())

    await eventually(stored)
    store.failures = {"close_node": [busy()]}
    await app.close()
    with pytest.raises(ClosedError):
        await asyncio.wait_for(waiting, 10)
    assert "cannot end epoch" in caplog.text


@pytest.mark.parametrize("wait", [True, False])
async def test_a_job_that_is_declared_too_late_is_refused(tmp_path: Path, wait: bool) -> None:
    app = make_app(tmp_path)
    app.job("early")(says_hello)
    async with running(app):
        app.job("late")(says_hello)
        with pytest.raises(MisuseError, match="'late' was declared after the app was opened"):
            await asyncio.wait_for(app.run_job("late", wait=wait), 10)
        assert (await app.run_job("early")).ok


async def test_slots_bound_what_runs_at_once(tmp_path: Path) -> None:
    app = make_app(tmp_path, slots=2)
    now, most = 0, 0

    @app.job("narrow")
    async def narrow() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1

    async with running(app):
        results = await asyncio.gather(*(app.run_job("narrow") for _ in range(40)))
    assert all(result.ok for result in results)
    assert most == 2


async def test_a_run_of_another_queue_is_left_to_its_node_and_seen_by_its_waiter(tmp_path: Path) -> None:
    first, second = make_app(tmp_path, queues=("other",)), make_app(tmp_path)
    first.job("shared")(_ran_by("first"))
    second.job("shared")(_ran_by("second"))
    async with running(first), running(second):
        result = await first.run_job("shared")
    assert result.value == "second"


def _ran_by(name: str) -> Callable[[], Awaitable[str]]:
    async def handler() -> str:
        return name

    return handler


async def test_a_lease_that_both_loops_find_lost_is_replaced_once(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(_ran_by("here"))
    async with running(app):
        node = (await app.open()).node
        epoch = node.epoch
        await store.close_node(epoch)
        store.failures = {"open_node": [busy()]}
        await asyncio.gather(*(node._take_new_epoch(epoch) for _ in range(3)), return_exceptions=True)
        assert (await app.run_job("quick")).ok
        assert node.epoch == epoch + 1


async def test_trouble_while_a_new_epoch_is_taken_is_lived_through(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(_ran_by("here"))
    async with running(app):
        node = (await app.open()).node
        epoch = node.epoch
        store.failures = {"open_node": [busy(), busy()]}
        await store.close_node(epoch)
        node.wake()

        async def taken() -> bool:
            return node.epoch > epoch

        await eventually(taken)
        assert (await app.run_job("quick")).ok


async def test_a_run_that_is_stopped_before_its_first_step_is_recorded(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("quick")(_ran_by("here"))
    async with running(app):
        opened = await app.open()
        begin = opened.node.begin

        def begin_and_stop(record: RunRecord) -> None:
            begin(record)
            opened.node.stop_run(record.run_id)

        opened.node.begin = begin_and_stop  # type: ignore[method-assign]  # the request comes in the same turn
        result = await app.run_job("quick")
        assert (result.state, result.error) == (RunState.CANCELLED, "cancelled on request")
        assert opened.node.running_count == 0


async def test_a_run_outlives_a_caller_that_is_cancelled_while_it_is_enqueued(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("quick")(_ran_by("here"))
    async with running(app):
        caller = asyncio.create_task(app.run_job("quick"))
        await asyncio.sleep(0)  # the command is on its way
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

        async def succeeded() -> bool:
            return bool(await app.runs("quick", states=[RunState.SUCCEEDED]))

        await eventually(succeeded)


async def test_a_pause_made_elsewhere_is_noticed(tmp_path: Path) -> None:
    app, other = make_app(tmp_path), make_app(tmp_path, schedule=False)
    for one in (app, other):

        @one.job("hourly", cron="0 * * * *")
        async def hourly() -> None: ...

    async with running(app), running(other):
        row = await other.store.set_paused("hourly", True)
        assert isinstance(row, JobRow)
        scheduler = (await app.open()).scheduler

        async def noticed() -> bool:
            return scheduler._rows["hourly"].paused

        await eventually(noticed)
        backfill = await other.backfill("hourly", START, at(3))
        assert (await backfill.wait()).succeeded == 3


async def test_a_heartbeat_that_finds_the_epoch_dead_takes_a_new_one(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)

    @app.job("quick")
    async def quick() -> None: ...

    async with running(app):
        node = (await app.open()).node
        epoch = node.epoch
        store.failures = {"heartbeat": [LeaseLostError(epoch=epoch)]}

        async def taken() -> bool:
            return node.epoch > epoch

        await eventually(taken)
        dead = node.epoch
        await store.close_node(dead)
        node.epoch = dead
        with pytest.raises(LeaseLostError):
            await node._beat()
        assert (await app.run_job("quick")).ok


async def test_what_a_heartbeat_brings_reaches_handlers_and_planners(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)
    started = asyncio.Event()

    @app.job("slow")
    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    async with running(app):
        result = await app.run_job("slow", wait=False)
        await started.wait()
        node = (await app.open()).node
        await store.cancel(result.run_id)  # as another process asks for it
        await node._beat()

        async def cancelled() -> bool:
            record = await app.run(result.run_id)
            return record is not None and record.state is RunState.CANCELLED

        await eventually(cancelled)
        node.stop_run("not here")


async def test_runs_of_a_dead_node_are_taken_over_by_the_next_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Hundreds may be left at once: they are said in one line."""
    app, store = troubled(tmp_path)

    @app.job("quick")
    async def quick() -> None: ...

    async with running(app):
        record = await app.run((await app.run_job("quick")).run_id)
        assert record is not None
        rescued = [record, record]

        async def rescue(*, max_rescues: int = 3) -> Sequence[RunRecord]:
            found, rescued[:] = list(rescued), []
            return found

        store.rescue = rescue  # type: ignore[method-assign]  # what another node left

        async def taken() -> bool:
            return not rescued and bool(said())

        def said() -> list[str]:
            return [one.getMessage() for one in caplog.records if "dead node" in one.getMessage()]

        await eventually(taken)
    assert ["runs were left by a dead node: 2 of quick now succeeded"] == said()


VICTIM = """
import asyncio, sys
from mainspring.jobs import JobApp

async def main():
    app = JobApp("victim", store="sqlite:///" + sys.argv[1], durability="process", schedule=False)

    @app.job("quick")
    async def quick():
        print("began", flush=True)
        await asyncio.Event().wait()

    await app.run_job(quick)

asyncio.run(main())
"""


async def test_the_run_of_a_killed_process_does_not_wait_for_the_next_heartbeat(tmp_path: Path) -> None:
    app = JobApp("test", store=tmp_path / "state.db", poll_interval=600)
    app.job("quick")(_ran_by("here"))
    async with running(app):
        command = [sys.executable, "-c", VICTIM, str(tmp_path / "state.db")]
        victim = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert victim.stdout is not None
        assert b"began\n" == await victim.stdout.readline()
        victim.kill()
        await victim.wait()

        async def succeeded() -> bool:
            return bool(await app.runs("quick", states=[RunState.SUCCEEDED]))

        await eventually(succeeded)


async def test_a_guest_runs_what_is_asked_for_there_and_nothing_else(tmp_path: Path) -> None:
    def make() -> JobApp:
        app = make_app(tmp_path)

        @app.job("asked")
        async def asked(ctx: JobContext) -> str:
            return str((await (await ctx.spawn("spawned")).wait()).value)

        app.job("spawned")(says_hello)
        app.job("other", every=3600)(says_hello)
        return app

    owner = make()
    await owner.open(runner=False)
    left = await owner.run_job("other", wait=False)
    guest = make()
    await guest.open(guest=True)
    result = await guest.run_job("asked")
    assert ("hello", RunState.SUCCEEDED) == (result.value, result.state)
    retried = await guest.retry(result.run_id)
    assert RunState.SUCCEEDED is (await guest.wait_for_run(retried.run_id)).state
    record = await guest.run(left.run_id)
    assert record is not None
    assert RunState.AVAILABLE is record.state, "it is left to the nodes of the store"
    backfill = await guest.backfill("other", at(0), at(2))
    assert 2 == (await backfill.wait()).succeeded
    await guest.close()
    await owner.close()


async def says_hello() -> str:
    return "hello"


async def test_a_guest_leaves_the_schedules_of_the_store_as_they_are(tmp_path: Path) -> None:
    def make(every: float) -> JobApp:
        app = make_app(tmp_path)
        app.job("load", every=every)(says_hello)
        return app

    owner, guest = make(60), make(90)
    guest.job("new")(says_hello)
    async with running(owner):
        await guest.open(guest=True)
        assert (await guest.run_job("new")).ok
        (version,) = await owner.schedule_history("load")
        assert Every(60) == version.schedule
        await guest.close()


async def test_a_guest_does_not_take_the_alerts_of_late_runs(tmp_path: Path) -> None:
    told: list[Alert] = []

    def make() -> JobApp:
        app = make_app(tmp_path, schedule=False)
        app.job("late", every=1, start_at=START, max_lookback=3600.0, sla=0.001, alert=told.append)(says_hello)
        app.job("call")(says_hello)
        return app

    owner, guest = make(), make()
    await owner.open(runner=False)
    now = owner.store.now()
    run = NewRun(
        run_id=new_id(), job_id="late", kind=RunKind.SCHEDULE, available_at=now + 10**12, scheduled_at=now - 10**7
    )
    await owner.store.enqueue(Enqueue(run=run))
    await guest.open(guest=True)
    assert (await guest.run_job("call")).ok
    await guest.close()
    assert [] == told
    assert [run.run_id] == [one.run_id for one in await owner.store.note_late("late", scheduled_before=now)]
    await owner.close()
