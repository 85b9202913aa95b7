"""Instances come, age and go, and no slot is lost on the way."""

import asyncio

import pytest
from tests.unit.resilience.support_pool import CheckedPool, Pool, borrow
from tests.unit.resilience.support_time import now, run_virtual, virtual

from mainspring.base import get_statistics, use_random
from mainspring.errors import (
    ClosedError,
)
from mainspring.resilience import PoolBase, PoolStatistic, timeout


@virtual
async def test_recycle_is_drawn_between_once_and_twice_and_looked_at_on_return() -> None:
    with use_random(5):
        pool = Pool(4, recycle=10)
        await asyncio.gather(*(borrow(pool) for _ in range(4)))
        due = sorted(slot.recycle_at - 1000.0 for slot in pool._stock.idle)
        assert 10.0 <= due[0] < due[-1] <= 20.0
        await asyncio.sleep(due[1] - 1)
        assert await asyncio.gather(*(borrow(pool, 0) for _ in range(4)))
        await asyncio.sleep(0)
        assert len(pool.destroyed) == 2
        assert len(pool) == 2


@virtual
async def test_instance_over_its_lifetime_is_not_lent() -> None:
    pool = Pool(1, max_lifetime=10)
    assert await borrow(pool, 4) == 1
    assert await borrow(pool, 4) == 1
    assert pool._stock._reaper is not None
    pool._stock._reaper.cancel()  # it would have emptied the slot
    pool._stock._reap_at = 0.0
    await asyncio.sleep(3)
    assert await borrow(pool, 12) == 2
    await asyncio.sleep(0)
    assert pool.destroyed == [1, 2]


@virtual
async def test_idle_instances_above_min_size_are_destroyed() -> None:
    pool = Pool(4, min_size=1, max_idle=10)
    await asyncio.gather(*(borrow(pool, seconds) for seconds in (1, 2, 3)))
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
    old = asyncio.create_task(borrow(pool, 25))
    await asyncio.sleep(24)
    await borrow(pool, 0)
    await old
    await asyncio.sleep(5.5)
    assert pool.destroyed == [1]
    await pool.close()


@virtual
async def test_min_size_is_filled_in_the_background_in_spite_of_failures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = Pool(3, min_size=3)
    assert await borrow(pool) == 1
    pool.create_errors = [OSError("down"), OSError("down")]
    await asyncio.sleep(10)
    assert len(pool) == 3
    assert "no instance for the pool, next try in" in caplog.text
    await pool.close()


@virtual
async def test_refilling_ends_with_the_pool() -> None:
    pool = Pool(3, min_size=2)
    await borrow(pool)
    pool.create_errors = [OSError("down") for _ in range(99)]
    await asyncio.sleep(5)
    await pool.close()
    assert pool.destroyed == [1]
    assert not pool._stock._tasks


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
        await borrow(pool, 0)
        before = now()
        await pool.close()
        assert now() - before == min(seconds, 3.0)
        counters = {r.metric: r.value for r in get_statistics(PoolStatistic) if r.name == "stuck"}
        assert counters["destroy_failed"] == 1
    assert caplog.text.count("could not be destroyed") == 2


@virtual
async def test_close_sends_waiters_away_and_takes_back_what_is_lent() -> None:
    pool = Pool(1)
    holder = asyncio.create_task(borrow(pool, 5))
    await asyncio.sleep(0)
    waiter = asyncio.create_task(borrow(pool))
    await asyncio.sleep(1)
    for _ in range(2):
        await pool.close()
        assert pool.destroyed == [1]
    with pytest.raises(ClosedError):
        await waiter
    with pytest.raises(ClosedError):
        await borrow(pool)
    assert await holder == 1
    assert (len(pool), len(pool._stock.vacant), pool.stats().used_count) == (0, 1, 0)


@virtual
async def test_close_gives_borrowers_time(caplog: pytest.LogCaptureFixture) -> None:
    for seconds, destroyed_at in ((2.0, 2.0), (9.0, 4.0)):
        pool = Pool(1)
        holder = asyncio.create_task(borrow(pool, seconds + 1))
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
    task = asyncio.create_task(borrow(pool))
    await asyncio.sleep(1)
    await pool.close()
    with pytest.raises(ClosedError):
        await task
    assert pool.destroyed == [1]
    assert (len(pool), len(pool._stock.vacant)) == (0, 1)


@virtual
@pytest.mark.parametrize("limit", [None, 9.0])
async def test_pool_closed_while_an_instance_is_checked(limit: float | None) -> None:
    pool = CheckedPool(1)
    await borrow(pool)
    pool.check_time = 5.0
    task = asyncio.create_task(borrow(pool, limit=limit))
    await asyncio.sleep(1)
    await pool.close()
    with pytest.raises(ClosedError):
        await task
    assert pool.destroyed == [1]
    assert (len(pool), len(pool._stock.vacant)) == (0, 1)


@virtual
async def test_work_of_the_pool_has_no_part_in_the_deadline_of_a_borrower() -> None:
    pool = Pool(1, max_lifetime=1)
    async with timeout(5):
        await borrow(pool, 2)
        await asyncio.sleep(0)
    assert pool.destroy_deadline == 1012.0


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


class InstantPool(PoolBase[int]):
    """Its hooks never suspend."""

    made = 0

    async def _create_instance(self) -> int:
        self.made += 1
        return self.made

    async def _destroy_instance(self, instance: int) -> None: ...


@virtual
async def test_min_size_is_kept_also_where_tasks_end_at_once() -> None:
    """Where tasks can start eagerly; before Python 3.12 they begin a turn later."""
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
    async with InstantPool(1, min_size=1, max_lifetime=1.0) as pool:
        await asyncio.sleep(3.5)
        assert (4, 1) == (pool.made, len(pool))
