"""Workers are killed at every moment: no task hangs, none is lost, none that had begun is run again."""

import asyncio
import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.unit.concurrency import support_tasks as tasks
from tests.unit.concurrency.support_holds import open_holds

from mainspring.base import current_random, use_random
from mainspring.concurrency import WorkerPool
from mainspring.errors import ChildStartError, WorkerCrashedError
from mainspring.testing import eventually


@contextmanager
def no_descriptors() -> Generator[None]:
    """Let nothing be opened, not even in the place of what is closed meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


Count = Callable[[int, int], int]

pytestmark = pytest.mark.timeout(600)


async def test_an_idle_worker_killed_again_and_again_costs_no_task(mainspring_count: Count) -> None:
    async with WorkerPool(1) as pool:
        for number in range(mainspring_count(30, 1000)):
            os.kill(pool.pids[0], signal.SIGKILL)
            async with asyncio.timeout(20):
                assert await pool.submit(tasks.double, number) == number * 2


async def test_a_busy_worker_killed_again_and_again_fails_that_task_alone(
    tmp_path: Path, mainspring_count: Count
) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        for number in range(mainspring_count(30, 1000)):
            held = pool.submit(tasks.hold, holds.path, str(number))
            waiting = [pool.submit(tasks.double, n) for n in range(3)]
            os.kill((await holds.next()).pid, signal.SIGKILL)
            async with asyncio.timeout(20):
                with pytest.raises(WorkerCrashedError):
                    await held
                assert [0, 2, 4] == await asyncio.gather(*waiting)


async def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path: Path, mainspring_count: Count) -> None:
    trace = tmp_path / "trace"
    with use_random(20130310):
        async with WorkerPool(2) as pool:
            batches = mainspring_count(30, 1000)
            outcomes: list[object] = []
            for batch in range(batches):
                marks = [f"{batch}.{n}" for n in range(20)]
                running = [pool.submit(tasks.note, str(trace), mark) for mark in marks]
                for _ in range(current_random().randrange(8)):
                    await asyncio.sleep(0)
                for pid in pool.pids[: current_random().randint(1, 2)]:
                    with suppress(ProcessLookupError):  # it may be dead, and not yet replaced
                        os.kill(pid, signal.SIGKILL)
                async with asyncio.timeout(20):
                    outcomes += await asyncio.gather(*running, return_exceptions=True)
    begun = Counter(trace.read_text().split())
    expected = [f"{batch}.{n}" for batch in range(batches) for n in range(20)]
    assert len(expected) == len(outcomes)
    for mark, outcome in zip(expected, outcomes, strict=True):
        if isinstance(outcome, WorkerCrashedError):
            assert begun[mark] <= 1  # it may have died before the line was written
        else:
            assert mark == outcome
            assert begun[mark] == 1


async def test_a_cancellation_that_races_the_result_never_hits_another_task(mainspring_count: Count) -> None:
    with use_random(20130311):
        async with WorkerPool(1) as pool:
            pids = pool.pids
            for number in range(mainspring_count(300, 10_000)):
                cancelled = [pool.submit(tasks.double, n) for n in range(current_random().randint(1, 3))]
                for _ in range(current_random().randrange(12)):
                    await asyncio.sleep(0)
                for task in cancelled:
                    task.cancel()
                async with asyncio.timeout(20):
                    assert await pool.submit(tasks.double, number) == number * 2
            assert pids == pool.pids


async def test_cancelled_callers_leave_the_queue_in_order(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, 100) as pool:
        held = pool.submit(tasks.hold, holds.path, "a")
        release = (await holds.next()).release
        waiting = [asyncio.create_task(pool.create_task(tasks.double, n)) for n in range(50)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        release()
        await held
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [n * 2 for n in range(1, 50, 2)] == [each for each in results if isinstance(each, int)]


async def test_a_pool_without_descriptors_waits_until_there_are_some(caplog: pytest.LogCaptureFixture) -> None:
    async with WorkerPool(1) as pool:
        with no_descriptors():
            os.kill(pool.pids[0], signal.SIGKILL)
            task = pool.submit(tasks.double, 1)
            await eventually(lambda: "trying again" in caplog.text)
        async with asyncio.timeout(20):
            assert await task == 2


async def test_a_pool_that_starts_without_descriptors_says_so() -> None:
    with no_descriptors(), pytest.raises(ChildStartError, match="did not start"):
        await WorkerPool(1).start()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
async def test_forked_workers_of_a_parent_with_busy_threads_answer(mainspring_count: Count) -> None:
    stop = threading.Event()
    lock = threading.Lock()

    def keep_busy() -> None:
        while not stop.is_set():
            with lock:
                "".join(map(str, range(50)))

    threads = [threading.Thread(target=keep_busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(mainspring_count(5, 100)):
            async with asyncio.timeout(20), WorkerPool(2, start_method="fork") as pool:
                assert [0, 2, 4, 6] == await asyncio.gather(*(pool.submit(tasks.double, n) for n in range(4)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


async def test_a_pool_dies_and_lives_many_times_without_a_trace(mainspring_count: Count) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(mainspring_count(10, 200)):
        async with WorkerPool(2) as pool:
            _ = pool.submit(tasks.kill_self)
            _ = pool.submit(tasks.double, 1)
    assert descriptors >= len(os.listdir("/proc/self/fd"))
