"""ThreadPoolExecutor is a standard executor, and `run()` its fast path from asyncio."""

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
from collections.abc import Iterator

import pytest

from mainspring.base import get_statistics, outside_work
from mainspring.concurrency import ThreadPoolExecutor, ThreadPoolStatistic
from mainspring.errors import ClosedError, InvalidArgumentError, WorkQueueFullError

number = contextvars.ContextVar("number", default=0)


class Gate:
    """A function that holds its thread until the gate opens."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self) -> str:
        self.entered.release()
        assert self.opened.wait(20)
        return threading.current_thread().name


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, statistic_name="unit", max_queue=3) as pool:
        yield pool


def fail(error: BaseException) -> None:
    raise error


async def test_run_returns_the_result(pool: ThreadPoolExecutor) -> None:
    assert await pool.run(divmod, 7, 2) == (3, 1)


async def test_run_raises_what_the_function_raised(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(KeyError, match="gone"):
        await pool.run(fail, KeyError("gone"))


async def test_stop_iteration_becomes_a_runtime_error(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await pool.run(fail, StopIteration(5))
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_the_context_is_that_of_the_call(pool: ThreadPoolExecutor) -> None:
    number.set(1)
    first = pool.run(number.get)
    concurrent_first = pool.submit(number.get)
    number.set(2)
    assert await first == 1
    assert await asyncio.wrap_future(concurrent_first) == 1
    assert await pool.run(number.get) == 2


async def test_many_calls_in_flight_are_all_answered() -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert list(range(200)) == await asyncio.gather(*(pool.run(int, n) for n in range(200)))


async def test_no_thread_starts_before_the_first_call(gate: Gate) -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(3) as pool:
        assert before >= set(threading.enumerate())
        await pool.run(int)
        await pool.run(int)
        assert len(set(threading.enumerate()) - before) <= 2
        calls = [pool.run(gate) for _ in range(5)]
        for _ in range(3):
            assert gate.entered.acquire(timeout=20)
        assert "threads=3/3 waiting=2" in repr(pool)
        gate.opened.set()
        names = await asyncio.gather(*calls)
    assert all(name.startswith("Thread ") and " from pool pool-" in name for name in names)


async def test_a_full_queue_refuses_on_the_loop(pool: ThreadPoolExecutor, gate: Gate) -> None:
    calls = [pool.run(gate) for _ in range(2)]
    for _ in range(2):
        assert gate.entered.acquire(timeout=20)
    calls += [pool.run(gate) for _ in range(3)]
    with pytest.raises(WorkQueueFullError, match="3 calls wait in the thread pool 'unit'"):
        await pool.run(gate)
    with pytest.raises(WorkQueueFullError):
        pool.submit(gate)
    gate.opened.set()
    assert len(await asyncio.gather(*calls)) == 5


def test_a_full_queue_holds_back_other_threads(pool: ThreadPoolExecutor) -> None:
    assert [str(n) for n in range(100)] == list(pool.map(str, range(100)))


def test_a_thread_of_the_pool_never_waits_for_its_own_pool() -> None:
    with ThreadPoolExecutor(1, max_queue=1) as pool:

        def nested() -> concurrent.futures.Future[int]:
            pool.submit(int)
            return pool.submit(int)

        with pytest.raises(WorkQueueFullError):
            pool.submit(nested).result(20)


def test_shutdown_wakes_who_waits_for_room(gate: Gate) -> None:
    pool = ThreadPoolExecutor(1, max_queue=1)
    pool.submit(gate)
    assert gate.entered.acquire(timeout=20)
    pool.submit(int)
    outcome: concurrent.futures.Future[object] = concurrent.futures.Future()

    def submit() -> None:
        try:
            outcome.set_result(pool.submit(int))
        except ClosedError as error:
            outcome.set_exception(error)

    waiting = threading.Thread(target=submit)
    waiting.start()
    while not pool._crew._waiting_for_room:
        pass
    pool.shutdown(wait=False)
    with pytest.raises(ClosedError):
        outcome.result(20)
    gate.opened.set()
    pool.shutdown()
    waiting.join()


async def test_a_cancelled_call_that_waits_is_never_made(gate: Gate) -> None:
    made: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        first = pool.run(gate)
        second, third = pool.run(made.append, 2), pool.submit(made.append, 3)
        assert second.cancel()
        assert third.cancel()
        gate.opened.set()
        await first
        await pool.run(int)
    assert made == []


async def test_a_call_cancelled_while_it_runs_loses_its_result_only(gate: Gate) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.run(gate)
        assert gate.entered.acquire(timeout=20)
        running.cancel()
        gate.opened.set()
        assert await pool.run(int) == 0
        assert running.cancelled()


async def test_shutdown_can_cancel_what_waits(gate: Gate) -> None:
    pool = ThreadPoolExecutor(1)
    running = pool.run(gate)
    assert gate.entered.acquire(timeout=20)
    waiting, concurrent_waiting = pool.run(int), pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    assert concurrent_waiting.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    await running
    pool.shutdown()
    assert "closed threads=0/1 waiting=0" in repr(pool)


def test_shutdown_does_what_waits_first(pool: ThreadPoolExecutor) -> None:
    done: list[int] = []
    for n in range(50):
        pool.submit(done.append, n)
    pool.shutdown()
    assert sorted(done) == list(range(50))


def test_shutdown_waits_no_longer_than_it_may(gate: Gate) -> None:
    pool = ThreadPoolExecutor(1)
    pool.submit(gate)
    pool.shutdown(timeout=0.001)
    assert "threads=1/1" in repr(pool)
    gate.opened.set()
    pool.shutdown()


def test_shutdown_inside_of_a_call_does_not_wait_for_itself() -> None:
    pool = ThreadPoolExecutor(1)
    pool.submit(pool.shutdown).result(20)
    pool.shutdown()


async def test_a_closed_pool_refuses(pool: ThreadPoolExecutor) -> None:
    pool.shutdown()
    with pytest.raises(ClosedError):
        await pool.run(int)
    with pytest.raises(RuntimeError):
        pool.submit(int)


def test_a_dropped_pool_ends_its_threads() -> None:
    pool = ThreadPoolExecutor(1)
    threads: list[threading.Thread] = [pool.submit(threading.current_thread).result(20)]
    del pool
    gc.collect()
    threads[0].join(20)
    assert not threads[0].is_alive()


def test_it_serves_as_the_default_executor() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        assert await loop.getaddrinfo("127.0.0.1", 80)
        return await asyncio.to_thread(pow, 2, 10) + await loop.run_in_executor(None, int)

    assert asyncio.run(main()) == 1024


def test_results_for_a_closed_loop_are_dropped(gate: Gate) -> None:
    with ThreadPoolExecutor(1) as pool:

        async def leave() -> None:
            call = pool.run(gate)
            assert gate.entered.acquire(timeout=20)
            call.cancel()

        asyncio.run(leave())
        gate.opened.set()
        assert pool.submit(int).result(20) == 0


def test_one_pool_serves_several_loops(pool: ThreadPoolExecutor) -> None:
    async def main() -> int:
        return await pool.run(int, "7")

    assert [asyncio.run(main()) for _ in range(3)] == [7, 7, 7]


async def test_statistics_move(pool: ThreadPoolExecutor) -> None:
    await pool.run(int)
    with pytest.raises(ValueError):
        await pool.run(int, "x")
    numbers = {result.metric: result.value for result in get_statistics(ThreadPoolStatistic) if result.name == "unit"}
    assert numbers.pop("sum_time") > 0
    assert 1 <= numbers.pop("threads") <= 2
    assert numbers == {"submitted": 2, "waiting": 0, "running": 0, "cancelled": 0, "done": 2, "success": 1, "error": 1}


async def test_every_submitted_call_is_counted_somewhere() -> None:
    """There was no length of the queue, and cancelled calls were counted nowhere."""
    gate = Gate()
    pool = ThreadPoolExecutor(1, statistic_name="fates")

    def fates() -> dict[str, float]:
        found = {one.metric: one.value for one in get_statistics(ThreadPoolStatistic) if one.name == "fates"}
        assert found["submitted"] == sum(found[fate] for fate in ("waiting", "running", "cancelled", "done"))
        return found

    held = pool.run(gate)
    await asyncio.to_thread(gate.entered.acquire)
    taken_back = pool.run(int), pool.submit(int)
    dropped = pool.run(int), pool.submit(int)
    assert (4, 1, 0) == (fates()["waiting"], fates()["running"], fates()["cancelled"])
    for call in taken_back:
        call.cancel()
    kept = pool.run(int)
    gate.opened.set()
    await asyncio.gather(held, kept)
    assert (0, 0, 2, 4) == tuple(fates()[fate] for fate in ("waiting", "running", "cancelled", "done"))
    assert [0, 0] == [await dropped[0], dropped[1].result()]
    gate.opened.clear()
    held = pool.run(gate)
    await asyncio.to_thread(gate.entered.acquire)
    left = pool.run(int), pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    assert (0, 1, 4) == (fates()["waiting"], fates()["running"], fates()["cancelled"])
    gate.opened.set()
    await held
    with pytest.raises(asyncio.CancelledError):
        await left[0]
    assert left[1].cancelled()
    await asyncio.to_thread(pool.shutdown)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="max_workers=0"):
        ThreadPoolExecutor(0)
    with pytest.raises(InvalidArgumentError, match="max_queue=-1"):
        ThreadPoolExecutor(max_queue=-1)


async def test_what_is_no_function_is_refused(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(ValueError, match="a callable"):
        pool.submit("x")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        await pool.run(None)  # type: ignore[arg-type]


def test_run_needs_a_loop(pool: ThreadPoolExecutor) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        _ = pool.run(int)


def refuse(*_: object) -> None:
    raise RuntimeError("can't start new thread")


async def test_without_a_thread_left_calls_wait_for_those_there_are(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    outside = outside_work.count
    with ThreadPoolExecutor(3) as pool:
        running = pool.run(gate)
        with monkeypatch.context() as exhausted:
            exhausted.setattr(threading.Thread, "start", refuse)
            waiting = [pool.run(abs, -number) for number in range(3)]
        assert "threads=1/3" in repr(pool)
        gate.opened.set()
        await running
        assert [0, 1, 2] == await asyncio.gather(*waiting)
        assert outside == outside_work.count


async def test_without_any_thread_a_call_is_refused_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = outside_work.count
    with ThreadPoolExecutor(2, statistic_name="refused") as pool:
        with monkeypatch.context() as exhausted:
            exhausted.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                _ = pool.run(abs, -1)
        assert outside == outside_work.count
        assert 2 == await pool.run(abs, -2)
        assert "waiting=0" in repr(pool)
