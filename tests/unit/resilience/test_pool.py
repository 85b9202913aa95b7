"""The pool lends each instance to one borrower, in order, and never loses a slot."""

import asyncio
from typing import Any

import pytest
from tests.unit.resilience.support_time import now, run_virtual, virtual

from mainspring.base import get_statistics, use_random
from mainspring.errors import (
    ClosedError,
    DeadlineExceededError,
    InvalidArgumentError,
    MisuseError,
    PoolExhaustedError,
    TooManyWaitersError,
)
from mainspring.resilience import PoolBase, PoolStatistic, deadline, timeout


class Pool(PoolBase[int]):
    """Lends the numbers 1, 2, ...; each hook may be told to fail or to take time."""

    def __init__(self, maxsize: int = 2, recycle: float | None = None, **options: Any) -> None:
        super().__init__(maxsize, recycle, **options)
        self.made = 0
        self.destroyed: list[int] = []
        self.create_errors: list[Exception] = []
        self.create_time = self.destroy_time = 0.0
        self.destroy_error: Exception | None = None
        self.destroy_deadline: float | None = None

    async def _create_instance(self) -> int:
        await asyncio.sleep(self.create_time)
        if self.create_errors:
            raise self.create_errors.pop()
        self.made += 1
        return self.made

    async def _destroy_instance(self, instance: int) -> None:
        self.destroy_deadline = deadline()
        if self.destroy_time:
            await asyncio.sleep(self.destroy_time)
        if self.destroy_error is not None:
            raise self.destroy_error
        self.destroyed.append(instance)


class CheckedPool(Pool):
    """A pool whose check answers what it is told."""

    bad: set[int]
    check_error: Exception | None = None
    check_time = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.bad = set()

    async def _check_instance(self, instance: int) -> bool:
        await asyncio.sleep(self.check_time)
        if self.check_error is not None:
            raise self.check_error
        return instance not in self.bad


async def _borrow(pool: Pool, seconds: float = 1.0, *, limit: float | None = None) -> int:
    async with pool.acquire(timeout=limit) as instance:
        await asyncio.sleep(seconds)
        return instance


@virtual
async def test_instance_used_last_is_lent_first() -> None:
    pool = Pool(3)
    assert sorted(await asyncio.gather(*(_borrow(pool, seconds) for seconds in (1, 3, 2)))) == [1, 2, 3]
    assert len(pool) == 3
    assert await _borrow(pool) == 2
    assert await _borrow(pool) == 2
    assert pool.made == 3
    assert pool.stats().idle_count == 3


@virtual
async def test_waiters_are_served_in_order_and_nobody_overtakes() -> None:
    pool = Pool(1)
    order: list[int] = []

    async def borrow(number: int) -> None:
        async with pool.acquire():
            order.append(number)
            await asyncio.sleep(1)

    tasks = [asyncio.create_task(borrow(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert repr(pool) == "<Pool open, 0 used, 0 idle of 1>"
    await asyncio.sleep(0.5)
    assert (pool.stats().used_count, pool.stats().waiting_count) == (1, 3)
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3]


@virtual
async def test_failed_creates_lose_no_slot() -> None:
    pool = Pool(2)
    pool.create_errors = [OSError("refused") for _ in range(5)]
    for _ in range(5):
        with pytest.raises(OSError, match="refused"):
            await _borrow(pool)
    assert len(pool) == 0
    assert sorted(await asyncio.gather(_borrow(pool), _borrow(pool))) == [1, 2]


@virtual
async def test_slot_of_a_failed_create_goes_to_the_next_in_line() -> None:
    pool = Pool(1)
    pool.create_errors = [OSError("refused")]
    first, second = asyncio.create_task(_borrow(pool)), asyncio.create_task(_borrow(pool))
    with pytest.raises(OSError, match="refused"):
        await first
    assert await second == 1


@virtual
async def test_failed_checks_replace_the_instance_and_lose_no_slot(caplog: pytest.LogCaptureFixture) -> None:
    pool = CheckedPool(1, statistic_name="checked")
    assert await _borrow(pool) == 1
    pool.bad = {1}
    assert await _borrow(pool) == 2
    pool.check_error = OSError("gone")
    assert await _borrow(pool) == 3
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
            task = asyncio.create_task(_borrow(pool, 9.0))
            await asyncio.sleep(moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    # Cancelled in turn: while 1 was made, while it was used, while it was checked, while 2 was used.
    assert await _borrow(pool) == 2
    assert pool.destroyed == [1]


@virtual
async def test_cancelled_waiter_leaves_no_trace() -> None:
    pool = Pool(1)
    holder = asyncio.create_task(_borrow(pool, 5))
    await asyncio.sleep(1)
    waiter, other = asyncio.create_task(_borrow(pool)), asyncio.create_task(_borrow(pool))
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

    async def borrow(name: str) -> None:
        async with pool.acquire():
            order.append(name)

    borrowed = pool.acquire()
    await borrowed.__aenter__()
    waiter, other = asyncio.create_task(borrow("waiter")), asyncio.create_task(borrow("other"))
    await asyncio.sleep(0)
    await borrowed.__aexit__(None, None, None)
    waiter.cancel()
    await other
    assert order == ["other"]
    assert pool.stats().idle_count == 1


@virtual
async def test_timeout_in_line_is_exact() -> None:
    pool = Pool(1, statistic_name="line")
    holder = asyncio.create_task(_borrow(pool, 5))
    await asyncio.sleep(0)
    with pytest.raises(PoolExhaustedError, match="all 1 instances of the pool stayed in use for 2 s"):
        await _borrow(pool, limit=2.0)
    assert now() == 1002.0
    with pytest.raises(PoolExhaustedError):
        await _borrow(pool, limit=0)
    await holder
    assert await _borrow(pool, limit=0) == 1
    assert pool.stats().waiting_count == 0
    counters = {r.metric: r.value for r in get_statistics(PoolStatistic) if r.name == "line"}
    assert counters["timeouts"] == 2


@virtual
async def test_timeout_covers_wait_check_and_create() -> None:
    pool = CheckedPool(1)
    pool.create_time = 3.0
    holder = asyncio.create_task(_borrow(pool, 1))
    await asyncio.sleep(0)
    pool.bad = {1}
    with pytest.raises(DeadlineExceededError):
        await _borrow(pool, limit=6.0)
    assert now() == 1006.0
    assert await holder == 1
    assert await _borrow(pool, limit=3.5) == 2


@virtual
async def test_recycle_is_drawn_between_once_and_twice_and_looked_at_on_return() -> None:
    with use_random(5):
        pool = Pool(4, recycle=10)
        await asyncio.gather(*(_borrow(pool) for _ in range(4)))
        due = sorted(slot.recycle_at - 1000.0 for slot in pool._idle)
        assert 10.0 <= due[0] < due[-1] <= 20.0
        await asyncio.sleep(due[1] - 1)
        assert await asyncio.gather(*(_borrow(pool, 0) for _ in range(4)))
        await asyncio.sleep(0)
        assert len(pool.destroyed) == 2
        assert len(pool) == 2


@virtual
async def test_instance_over_its_lifetime_is_not_lent() -> None:
    pool = Pool(1, max_lifetime=10)
    assert await _borrow(pool, 4) == 1
    assert await _borrow(pool, 4) == 1
    pool._reap_at = 0.0  # the timer would have emptied the slot
    await asyncio.sleep(3)
    assert await _borrow(pool, 12) == 2
    await asyncio.sleep(0)
    assert pool.destroyed == [1, 2]


@virtual
async def test_idle_instances_above_min_size_are_destroyed() -> None:
    pool = Pool(4, min_size=1, max_idle=10)
    await asyncio.gather(*(_borrow(pool, seconds) for seconds in (1, 2, 3)))
    await asyncio.sleep(8.5)
    assert pool.destroyed == [1]
    await asyncio.sleep(100)
    assert pool.destroyed == [1, 2]
    assert len(pool) == 1
    await pool.close()


@virtual
async def test_lifetime_ends_idle_instances_and_min_size_is_refilled() -> None:
    async with Pool(4, min_size=2, max_lifetime=10) as pool:
        assert (len(pool), pool.made, pool.stats().idle_count) == (2, 2, 2)
        await asyncio.sleep(11)
        assert pool.destroyed == [1, 2]
        assert (len(pool), pool.made) == (2, 4)
    assert pool.destroyed == [1, 2, 4, 3]


@virtual
async def test_timer_is_moved_forward_for_an_instance_that_ends_earlier() -> None:
    pool = Pool(4, max_lifetime=30, max_idle=20)
    old = asyncio.create_task(_borrow(pool, 25))
    await asyncio.sleep(24)
    await _borrow(pool, 0)
    await old
    await asyncio.sleep(5.5)
    assert pool.destroyed == [1]
    await pool.close()


@virtual
async def test_min_size_is_filled_in_the_background_in_spite_of_failures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = Pool(3, min_size=3)
    assert await _borrow(pool) == 1
    pool.create_errors = [OSError("down"), OSError("down")]
    await asyncio.sleep(10)
    assert len(pool) == 3
    assert "no instance for the pool, next try in" in caplog.text
    await pool.close()


@virtual
async def test_refilling_ends_with_the_pool() -> None:
    pool = Pool(3, min_size=2)
    await _borrow(pool)
    pool.create_errors = [OSError("down") for _ in range(99)]
    await asyncio.sleep(5)
    await pool.close()
    assert pool.destroyed == [1]
    assert not pool._tasks


@virtual
async def test_failure_to_fill_at_the_start_comes_out() -> None:
    pool = Pool(3, min_size=2)
    pool.create_errors = [OSError("down")]
    with pytest.raises(OSError, match="down"):
        await pool.__aenter__()
    assert "closed" in repr(pool)


@virtual
async def test_failures_to_destroy_are_logged_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    for seconds, error in ((0.0, OSError("stuck")), (99.0, None)):
        pool = Pool(1, destroy_timeout=3, statistic_name="stuck")
        pool.destroy_time, pool.destroy_error = seconds, error
        await _borrow(pool, 0)
        before = now()
        await pool.close()
        assert now() - before == min(seconds, 3.0)
        counters = {r.metric: r.value for r in get_statistics(PoolStatistic) if r.name == "stuck"}
        assert counters["destroy_failed"] == 1
    assert caplog.text.count("could not be destroyed") == 2


@virtual
async def test_close_sends_waiters_away_and_takes_back_what_is_lent() -> None:
    pool = Pool(1)
    holder = asyncio.create_task(_borrow(pool, 5))
    await asyncio.sleep(0)
    waiter = asyncio.create_task(_borrow(pool))
    await asyncio.sleep(1)
    for _ in range(2):
        await pool.close()
        assert pool.destroyed == [1]
    with pytest.raises(ClosedError):
        await waiter
    with pytest.raises(ClosedError):
        await _borrow(pool)
    assert await holder == 1
    assert (len(pool), len(pool._vacant), pool.stats().used_count) == (0, 1, 0)


@virtual
async def test_close_gives_borrowers_time(caplog: pytest.LogCaptureFixture) -> None:
    for seconds, destroyed_at in ((2.0, 2.0), (9.0, 4.0)):
        pool = Pool(1)
        holder = asyncio.create_task(_borrow(pool, seconds + 1))
        await asyncio.sleep(1)
        started = now()
        await pool.close(timeout=4.0)
        assert now() - started == destroyed_at
        assert pool.destroyed == [1]
        await holder
    assert "1 instances were not brought back within 4 s" in caplog.text


@virtual
async def test_pool_closed_while_an_instance_is_made() -> None:
    pool = Pool(1)
    pool.create_time = 5.0
    task = asyncio.create_task(_borrow(pool))
    await asyncio.sleep(1)
    await pool.close()
    with pytest.raises(ClosedError):
        await task
    assert pool.destroyed == [1]
    assert (len(pool), len(pool._vacant)) == (0, 1)


@virtual
async def test_work_of_the_pool_has_no_part_in_the_deadline_of_a_borrower() -> None:
    pool = Pool(1, max_lifetime=1)
    async with timeout(5):
        await _borrow(pool, 2)
        await asyncio.sleep(0)
    assert pool.destroy_deadline == 1012.0


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
    tasks = [asyncio.create_task(_borrow(pool)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaitersError):
        await _borrow(pool)
    await asyncio.gather(*tasks)


@virtual
async def test_body_that_fails_returns_the_instance() -> None:
    pool = Pool(1)

    async def fail() -> None:
        async with pool.acquire():
            raise KeyError("body")

    with pytest.raises(KeyError):
        await fail()
    assert await _borrow(pool) == 1


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
    assert Pool(recycle=0)._recycle == float("inf")
    with pytest.raises(TypeError):
        PoolBase()  # type: ignore[abstract]  # pyright: ignore


def test_a_cleared_pool_keeps_nothing_and_goes_on_on_another_loop() -> None:
    pool = Pool(3, min_size=2, max_idle=60.0)

    async def main() -> None:
        async with pool.acquire() as lent:
            await asyncio.sleep(1)  # the other one is made meanwhile
            await pool.clear()
            assert (1, 0) == (len(pool), pool.stats().idle_count)
        assert lent not in pool.destroyed
        await pool.clear()
        assert (0, 0) == (len(pool), pool.stats().idle_count)
        assert 0 == len(asyncio.all_tasks() - {asyncio.current_task()})

    for _ in range(2):
        run_virtual(main())
    assert pool.made == len(pool.destroyed)
