"""Who holds a lease is alone with it, until it is given back or cannot be kept."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.base import current_clock
from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    LeaseLostError,
    LeaseTakenError,
    MisuseError,
    StoreBusyError,
)
from mainspring.jobs import HeldLease, JobApp, Lease
from mainspring.jobs.engine._leases import _Guard
from mainspring.jobs.stores import LeaseRow, MemoryData, MemoryStore, TakeLease


def two_apps() -> tuple[JobApp, JobApp]:
    data = MemoryData()
    first, second = (JobApp("mailer", store=MemoryStore(data), poll_interval=0.02) for _ in range(2))
    return first, second


async def test_a_lease_is_had_by_one_at_a_time_and_waited_for() -> None:
    inside, fences = list[str](), list[int]()

    async def work(app: JobApp) -> None:
        async with app.lease("mail") as held:
            inside.append(app.label)
            assert 1 == len(inside)
            fences.append(held.fence)
            await asyncio.sleep(0)
            inside.clear()

    first, second = two_apps()
    async with running(first), running(second):
        await asyncio.gather(*(work(app) for app in (first, second) * 5))
        assert fences == sorted(set(fences))
        async with first.reading() as reader:
            assert [] == list(await reader.leases())


async def test_who_does_not_wait_is_told_who_has_it() -> None:
    first, second = two_apps()
    async with running(first), running(second), first.lease("mail"):
        async with second.reading() as reader:
            (row,) = await reader.leases()
        with pytest.raises(LeaseTakenError, match=row.node):
            async with second.lease("mail", wait=False):
                pass


async def test_a_lease_that_cannot_be_kept_cancels_its_holder() -> None:
    first, second = two_apps()
    async with running(first), running(second):
        begun = asyncio.Event()

        async def hold(result: list[str]) -> None:
            try:
                async with first.lease("mail"):
                    begun.set()
                    await asyncio.Event().wait()
            except LeaseLostError as error:
                result.append(str(error))

        result: list[str] = []
        holder = asyncio.create_task(hold(result))
        await begun.wait()
        await first.store.close_node((await first.open()).node.epoch)  # what another node does to one that is cut off
        async with second.lease("mail") as held:
            assert held.fence > 1
        await holder
        assert "has ended" in result[0]
        async with first.lease("mail"):  # under its new epoch
            pass


async def test_a_holder_that_makes_another_error_of_the_loss_is_not_left_cancelled() -> None:
    first, _ = two_apps()
    begun = asyncio.Event()

    async def fail() -> None:
        async with first.lease("mail"):
            try:
                begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError("of the body") from None

    async def hold() -> int:
        with pytest.raises(ValueError, match="of the body"):
            await fail()
        task = asyncio.current_task()
        return -1 if task is None else task.cancelling()

    async with running(first):
        holder = asyncio.create_task(hold())
        await begun.wait()
        (await first.open()).leases.lost()
        assert 0 == await asyncio.wait_for(holder, 10)


async def test_an_error_of_a_holder_whose_lease_holds_goes_on_as_it_is() -> None:
    first, second = two_apps()

    async def fail() -> None:
        async with first.lease("mail"):
            raise ValueError("of the body")

    async with running(first), running(second):
        with pytest.raises(ValueError, match="of the body"):
            await fail()
        async with second.lease("mail", wait=False):
            pass


async def test_who_is_cancelled_gives_its_lease_back() -> None:
    first, second = two_apps()
    async with running(first), running(second):
        begun = asyncio.Event()

        async def hold() -> None:
            async with first.lease("mail"):
                begun.set()
                await asyncio.Event().wait()

        holder = asyncio.create_task(hold())
        await begun.wait()
        waiter = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiter.cancel()
        holder.cancel()
        for task in (waiter, holder):
            with pytest.raises(asyncio.CancelledError):
                await task
        async with second.lease("mail", wait=False):
            pass


class Trouble(MemoryStore):
    """A store whose next calls about leases fail after they were done, or are answered when the epoch has ended."""

    def __init__(self, data: MemoryData) -> None:
        super().__init__(data)
        self.failures: dict[str, int] = {}
        self.in_between: Callable[[], Awaitable[None]] | None = None

    def _fail(self, call: str) -> None:
        if self.failures.get(call, 0):
            self.failures[call] -= 1
            raise StoreBusyError(store="test", reason="a test")

    async def take_lease(self, command: TakeLease) -> LeaseRow:
        row = await super().take_lease(command)
        self._fail("take")
        work, self.in_between = self.in_between, None
        if work is not None:
            await work()
        return row

    async def drop_lease(self, lease: str, holder: str) -> None:
        self._fail("drop")
        await super().drop_lease(lease, holder)


async def test_trouble_of_the_store_leaves_no_lease_behind() -> None:
    data = MemoryData()
    store = Trouble(data)
    app = JobApp("trouble", store=store, poll_interval=0.02)
    async with running(app):
        store.failures = {"take": 1, "drop": 2}
        with pytest.raises(StoreBusyError):
            async with app.lease("mail"):
                pass
        async with app.lease("mail"):  # as soon as what was taken without our knowing is given back
            pass
        assert {"take": 0, "drop": 0} == store.failures


async def test_runs_and_services_have_it_as_a_resource(tmp_path: Path) -> None:
    app, inside = make_app(tmp_path), list[int]()
    only_one = Lease("only one")

    @app.job("alone")
    async def alone(lease: Annotated[HeldLease, only_one]) -> int:
        inside.append(1)
        assert [1] == inside
        await asyncio.sleep(0)
        inside.clear()
        return lease.fence

    async with running(app):
        results = await asyncio.gather(*(app.run_job(alone) for _ in range(5)))
        assert 5 == len({result.check().value for result in results})
        async with Lease("mail", app=app).acquire(None) as held:
            assert "mail" == held.name


async def test_leases_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="1 to 200"):
        Lease("")
    with pytest.raises(MisuseError, match="belongs to no app"):
        async with Lease("mail").acquire(None):
            pass
    app = make_app(tmp_path)
    await app.open(runner=False)
    with pytest.raises(MisuseError, match="runs jobs"):
        async with app.lease("mail"):
            pass
    await app.close()


async def test_an_app_that_closes_cancels_who_still_holds_a_lease(tmp_path: Path) -> None:
    app, result = make_app(tmp_path), list[Any]()
    begun = asyncio.Event()

    async def hold() -> None:
        try:
            async with app.lease("mail"):
                begun.set()
                await asyncio.Event().wait()
        except LeaseLostError:
            result.append("lost")

    async with running(app):
        holder = asyncio.create_task(hold())
        await begun.wait()

    async def ended() -> bool:
        return holder.done()

    await eventually(ended)
    assert ["lost"] == result


async def test_a_node_without_an_epoch_waits_for_its_next_one() -> None:
    app, _ = two_apps()
    async with running(app):
        opened = await app.open()
        await app.store.close_node(opened.node.epoch)
        with pytest.raises(LeaseLostError):
            async with app.lease("mail", wait=False):
                pass
        async with app.lease("mail") as held:
            assert held.fence > 0


async def test_a_lease_of_an_epoch_that_is_over_is_not_had() -> None:
    store = Trouble(MemoryData())
    app = JobApp("trouble", store=store, poll_interval=0.02)
    async with running(app):
        opened = await app.open()
        first = opened.node.epoch

        async def another_epoch() -> None:
            await store.close_node(first)

            async def taken() -> bool:
                return opened.node.epoch != first

            await eventually(taken)

        store.in_between = another_epoch

        async def hold() -> None:
            async with app.lease("mail"):
                (row,) = await store.leases()
                assert opened.node.epoch == row.epoch
                opened.leases.lost()
                opened.leases.lost()  # whoever says it how often: it is one cancellation
                await asyncio.Event().wait()

        with pytest.raises(LeaseLostError):
            await hold()
        current = asyncio.current_task()
        assert current is not None
        assert 0 == current.cancelling()


async def test_a_store_in_trouble_does_not_keep_an_app_from_closing() -> None:
    store = Trouble(MemoryData())
    app = JobApp("trouble", store=store, poll_interval=0.02)
    async with running(app):
        opened = await app.open()
        store.failures = {"drop": 10**9}
        holder = asyncio.create_task(pass_through(app))

        async def giving_back() -> bool:
            return store.failures["drop"] < 10**9

        await eventually(giving_back)
        assert opened.node.epoch > 0
    await holder


class Ending(MemoryStore):
    """A store whose renewals all come too late."""

    def lease_end(self, epoch: int) -> float:
        return current_clock().monotonic()


async def test_who_waits_for_a_lease_hears_that_the_app_closes() -> None:
    """Also while the node cannot renew its own, and asks the store for none."""
    app = JobApp("ending", store=Ending(MemoryData()), poll_interval=0.02)
    async with running(app):
        node = (await app.open()).node

        async def is_ending() -> bool:
            return node.tenure.is_ending

        await eventually(is_ending)
        waiting = asyncio.create_task(pass_through(app))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await waiting


async def pass_through(app: JobApp) -> None:
    async with app.lease("mail"):
        pass


async def test_a_lease_is_held_by_a_task() -> None:
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def outside_of_tasks() -> None:
        try:
            _Guard(1)
        except MisuseError as error:
            done.set_result(str(error))

    asyncio.get_running_loop().call_soon(outside_of_tasks)
    assert "held by a task" in await done
