"""The pool lends each instance to one borrower, in order, and never loses a slot."""

import asyncio
from typing import Any

import pytest
from tests.unit.resilience.support_pool import CheckedPool, Pool, borrow
from tests.unit.resilience.support_time import now, virtual

from mainspring.base import get_statistics
from mainspring.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    MisuseError,
    PoolExhaustedError,
    TooManyWaitersError,
)
from mainspring.resilience import PoolBase, PoolStatistic


@virtual
async def test_instance_used_last_is_lent_first() -> None:
    pool = Pool(3)
    assert sorted(await asyncio.gather(*(borrow(pool, seconds) for seconds in (1, 3, 2)))) == [1, 2, 3]
    assert len(pool) == 3
    assert await borrow(pool) == 2
    assert await borrow(pool) == 2
    assert pool.made == 3
    assert pool.stats().idle_count == 3


@virtual
async def test_waiters_are_served_in_order_and_nobody_overtakes() -> None:
    pool = Pool(1)
    order: list[int] = []

    async def take(number: int) -> None:
        async with pool.acquire():
            order.append(number)
            await asyncio.sleep(1)

    tasks = [asyncio.create_task(take(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert repr(pool) == "<Pool open, 0 used, 0 idle of 1>"
    await asyncio.sleep(0.5)
    assert (pool.stats().used_count, pool.stats().waiting_count) == (1, 3)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3]


class ToldPool(PoolBase[int]):
    """Tells of each call of a hook."""

    def __init__(self) -> None:
        super().__init__(2)
        self.told: list[tuple[str, int]] = []
        self.destroyed = asyncio.Event()

    async def _create_instance(self) -> int:
        number = sum(hook == "create" for hook, _ in self.told)
        self.told.append(("create", number))
        return number

    async def _check_instance(self, instance: int) -> bool:
        self.told.append(("check", instance))
        return instance != 0

    async def _destroy_instance(self, instance: int) -> None:
        self.told.append(("destroy", instance))
        await self.destroyed.wait()


@virtual
async def test_hooks_create_what_is_missing_check_what_was_idle_and_destroy_what_failed_in_the_background() -> None:
    pool = ToldPool()
    async with pool.acquire() as instance:
        assert instance == 0
    assert pool.told == [("create", 0)]  # not checked: it is new
    async with pool.acquire() as instance:
        assert instance == 1
        assert pool.told == [("create", 0), ("check", 0), ("create", 1)]
        await asyncio.sleep(0)
        assert pool.told[3:] == [("destroy", 0)]  # by nobody who waits
    async with pool.acquire() as instance:
        assert instance == 1
    assert pool.told[4:] == [("check", 1)]
    pool.destroyed.set()
    await pool.close()
    assert pool.told[5:] == [("destroy", 1)]


@virtual
async def test_failed_creates_lose_no_slot() -> None:
    pool = Pool(2)
    pool.create_errors = [OSError("refused") for _ in range(5)]
    for _ in range(5):
        with pytest.raises(OSError, match="refused"):
            await borrow(pool)
    assert len(pool) == 0
    assert sorted(await asyncio.gather(borrow(pool), borrow(pool))) == [1, 2]


@virtual
async def test_slot_of_a_failed_create_goes_to_the_next_in_line() -> None:
    pool = Pool(1)
    pool.create_errors = [OSError("refused")]
    first, second = asyncio.create_task(borrow(pool)), asyncio.create_task(borrow(pool))
    with pytest.raises(OSError, match="refused"):
        await first
    assert await second == 1


@virtual
async def test_failed_checks_replace_the_instance_and_lose_no_slot(caplog: pytest.LogCaptureFixture) -> None:
    pool = CheckedPool(1, statistic_name="checked")
    assert await borrow(pool) == 1
    pool.bad = {1}
    assert await borrow(pool) == 2
    pool.check_error = OSError("gone")
    assert await borrow(pool) == 3
    await asyncio.sleep(0)
    assert pool.destroyed == [1, 2]
    assert len(pool) == 1
    assert "the check of a pooled instance failed" in caplog.text
    counters = {r.metric: r.value for r in get_statistics(PoolStatistic) if r.name == "checked"}
    assert counters == {
        "acquired": 3,
        "created": 3,
        "destroyed": 2,
        "create_failed": 0,
        "check_failed": 2,
        "destroy_failed": 0,
        "timeouts": 0,
    }


@virtual
async def test_cancellation_during_check_and_create_loses_no_slot() -> None:
    pool = CheckedPool(1)
    pool.create_time = 2.0
    pool.check_time = 2.0
    for _ in range(2):
        for moment in (1.0, 3.0):
            task = asyncio.create_task(borrow(pool, 9.0))
            await asyncio.sleep(moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    # Cancelled in turn: while 1 was made, while it was used, while it was checked, while 2 was used.
    assert await borrow(pool) == 2
    assert pool.destroyed == [1]


@virtual
async def test_cancelled_waiter_leaves_no_trace() -> None:
    pool = Pool(1)
    holder = asyncio.create_task(borrow(pool, 5))
    await asyncio.sleep(1)
    waiter, other = asyncio.create_task(borrow(pool)), asyncio.create_task(borrow(pool))
    await asyncio.sleep(1)
    waiter.cancel()
    await asyncio.sleep(0)
    assert pool.stats().waiting_count == 1
    assert [await holder, await other] == [1, 1]
    assert now() == 1006.0


@virtual
async def test_slot_handed_to_a_waiter_cancelled_in_the_same_moment_goes_on() -> None:
    pool = Pool(1)
    order: list[str] = []

    async def take(name: str) -> None:
        async with pool.acquire():
            order.append(name)

    borrowed = pool.acquire()
    await borrowed.__aenter__()
    waiter, other = asyncio.create_task(take("waiter")), asyncio.create_task(take("other"))
    await asyncio.sleep(0)
    await borrowed.__aexit__(None, None, None)
    waiter.cancel()
    await other
    assert order == ["other"]
    assert pool.stats().idle_count == 1


@virtual
async def test_timeout_in_line_is_exact() -> None:
    pool = Pool(1, statistic_name="line")
    holder = asyncio.create_task(borrow(pool, 5))
    await asyncio.sleep(0)
    with pytest.raises(PoolExhaustedError, match="all 1 instances of the pool stayed in use for 2 s"):
        await borrow(pool, limit=2.0)
    assert now() == 1002.0
    with pytest.raises(PoolExhaustedError):
        await borrow(pool, limit=0)
    await holder
    assert await borrow(pool, limit=0) == 1
    assert pool.stats().waiting_count == 0
    counters = {r.metric: r.value for r in get_statistics(PoolStatistic) if r.name == "line"}
    assert counters["timeouts"] == 2


@virtual
async def test_timeout_covers_wait_check_and_create() -> None:
    pool = CheckedPool(1)
    pool.create_time = 3.0
    holder = asyncio.create_task(borrow(pool, 1))
    await asyncio.sleep(0)
    pool.bad = {1}
    with pytest.raises(DeadlineExceededError):
        await borrow(pool, limit=6.0)
    assert now() == 1006.0
    assert await holder == 1
    assert await borrow(pool, limit=3.5) == 2


class DeafPool(Pool):
    """Its check takes a cancellation for a bad instance, as the bare `except:` of many programs does."""

    async def _check_instance(self, instance: int) -> bool:
        try:
            await asyncio.sleep(100)
        except BaseException:  # noqa: BLE001  # what is tested
            return False
        return True


@virtual
async def test_timeout_holds_also_for_a_check_that_swallows_its_cancellation() -> None:
    pool = DeafPool(1)
    await borrow(pool, 0)
    pool.create_time = 50.0
    with pytest.raises(DeadlineExceededError):
        await borrow(pool, limit=2.0)
    assert pytest.approx(1002.0) == now()
    assert (0, 0) == (pool.stats().used_count, pool.stats().size)
    assert await borrow(pool, 0, limit=51.0) == 2


@virtual
async def test_acquire_is_for_one_use() -> None:
    pool = Pool(1)
    loan = pool.acquire()
    async with loan:
        pass
    with pytest.raises(MisuseError, match="was entered before") as caught:
        await loan.__aenter__()
    assert isinstance(caught.value, RuntimeError)
    await loan.__aexit__(None, None, None)
    assert pool.stats().idle_count == 1


@virtual
async def test_line_is_bounded() -> None:
    pool = Pool(1, max_waiters=1)
    tasks = [asyncio.create_task(borrow(pool)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaitersError):
        await borrow(pool)
    await asyncio.gather(*tasks)


@virtual
async def test_body_that_fails_returns_the_instance() -> None:
    pool = Pool(1)

    async def fail() -> None:
        async with pool.acquire():
            raise KeyError("body")

    with pytest.raises(KeyError):
        await fail()
    assert await borrow(pool) == 1


def test_is_made_outside_of_a_loop_and_refuses_wrong_arguments() -> None:
    assert len(Pool()) == 0
    wrong: list[dict[str, Any]] = [
        {"maxsize": 0},
        {"recycle": -1},
        {"min_size": 3},
        {"min_size": -1},
        {"max_lifetime": 0},
        {"max_idle": 0},
        {"max_waiters": 0},
        {"destroy_timeout": 0},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError):
            Pool(**arguments)
    with pytest.raises(InvalidArgumentError):
        Pool().acquire(timeout=-1)
    assert Pool(recycle=0)._stock._limits.recycle == float("inf")
    with pytest.raises(TypeError):
        PoolBase()  # type: ignore[abstract]  # pyright: ignore
