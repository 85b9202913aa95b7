"""A node keeps its lease, stops before it ends, and takes over from the dead."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import START, eventually, ran_by, running
from tests.unit.jobs.engine.support_trouble import busy, troubled

from mainspring.base import current_clock, use_random
from mainspring.errors import ClosedError, LeaseLostError
from mainspring.jobs import Alert, JobApp, RunState
from mainspring.jobs.stores import (
    Claim,
    HeartbeatAnswer,
    MemoryStore,
    RunRecord,
    SqliteStore,
)
from mainspring.storage import InlineRunner
from mainspring.testing import VirtualClock


@pytest.mark.parametrize("call", ["claim", "heartbeat"])
async def test_a_lost_lease_cancels_handlers_and_the_run_is_done_again(tmp_path: Path, call: str) -> None:
    app, store = troubled(tmp_path)
    started: list[int] = []
    cancelled = asyncio.Event()

    @app.job("slow")
    async def slow() -> str:
        started.append(1)
        if len(started) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
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
        await asyncio.wait_for(cancelled.wait(), 30)
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
            return node.tenure.is_ending

        await eventually(is_ending)
        with pytest.raises(LeaseLostError):
            async with app.lease("mail", wait=False):
                pass
        waiting = asyncio.create_task(wait_for_lease())
        result = await app.run_job("work", wait=False)
        called = asyncio.create_task(app.run_job("work"))  # which begins as it is made, at other times
        for _ in range(20):
            await app.run(result.run_id)
        assert [] == begun
        store.known_end = None
        await waiting
        assert (await called).ok
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


def test_an_idle_node_asks_its_store_twice_in_a_second_at_most() -> None:
    """In memory reads travel with the writes, and are counted with them."""
    store = SqliteStore(":memory:", runner=InlineRunner())
    app = JobApp("idle", store=store)
    app.job("yearly", cron="0 0 1 1 *")(ran_by("idle"))

    async def main() -> int:
        await app.start()
        await asyncio.sleep(10)
        before = store.owner.stats().command_count
        await asyncio.sleep(600)
        asked = store.owner.stats().command_count - before
        await app.stop()
        return asked

    with use_random(1), VirtualClock(START) as clock:
        assert 600 < clock.run(main()) <= 2 * 600


async def test_an_app_whose_epoch_cannot_be_closed_still_tells_its_callers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, store = troubled(tmp_path)
    app.job("elsewhere", queue="elsewhere")(ran_by("elsewhere"))
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


async def test_a_lease_that_both_loops_find_lost_is_replaced_once(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(ran_by("here"))
    async with running(app):
        node = (await app.open()).node
        epoch = node.epoch
        await store.close_node(epoch)
        store.failures = {"open_node": [busy()]}
        await asyncio.gather(*(node.tenure.replace(epoch) for _ in range(3)), return_exceptions=True)
        assert (await app.run_job("quick")).ok
        assert node.epoch == epoch + 1


async def test_trouble_while_a_new_epoch_is_taken_is_lived_through(tmp_path: Path) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(ran_by("here"))
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
        node.tenure.epoch = dead
        with pytest.raises(LeaseLostError):
            await node.tenure.beat()
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
        await node.tenure.beat()

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


async def test_a_run_whose_node_died_three_times_is_told_like_any_that_failed(tmp_path: Path) -> None:
    app = JobApp("test", store=tmp_path / "state.db", durability="memory", poll_interval=0.02, queues=("default",))
    told = asyncio.Queue[Alert]()
    app.job("doomed", queue="elsewhere", alert=told.put)(ran_by("nobody"))
    async with running(app):
        result = await app.run_job("doomed", wait=False)
        for _ in range(3):
            await die_with_a_run(tmp_path / "state.db", "doomed", "elsewhere")
        while (alert := await asyncio.wait_for(told.get(), 30)).kind != "failed":
            continue  # on a machine so slow that the run has waited for a minute
    assert (result.run_id, RunState.FAILED) == (alert.run_id, alert.state)
    assert "its node died 3 times" in alert.text


async def die_with_a_run(path: Path, job: str, queue: str) -> None:
    """Be a node that claims a run, as soon as there is one, and leaves without a good-bye."""
    store = SqliteStore(path, durability="memory")
    await store.open()
    try:
        epoch = await store.open_node("dies")
        command = Claim(epoch=epoch, limit=1, jobs=frozenset({job}), queues=(queue,))

        async def has_one() -> bool:
            return bool((await store.claim(command)).runs)

        await eventually(has_one)
    finally:
        await store.close()


VICTIM = """
import asyncio, sys
from mainspring.jobs import JobApp

async def main():
    app = JobApp("test", store="sqlite:///" + sys.argv[1], durability="process", schedule=False)

    @app.job("quick")
    async def quick():
        print("began", flush=True)
        await asyncio.Event().wait()

    await app.run_job(quick)

asyncio.run(main())
"""


async def test_the_run_of_a_killed_process_does_not_wait_for_the_next_heartbeat(tmp_path: Path) -> None:
    app = JobApp("test", store=tmp_path / "state.db", poll_interval=600)
    app.job("quick")(ran_by("here"))
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
