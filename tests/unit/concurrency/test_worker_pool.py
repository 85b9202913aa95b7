"""A worker pool answers every task, whatever the task is made of."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.unit.concurrency import support_tasks as tasks
from tests.unit.concurrency.support_children import ended, process_exists
from tests.unit.concurrency.support_holds import open_holds, until

from mainspring.base import Backoff, get_statistics, outside_work
from mainspring.concurrency import WorkerPool, WorkerPoolStatistic
from mainspring.errors import (
    ChildStartError,
    InvalidArgumentError,
    MisuseError,
    RemoteTaskError,
    ResultNotPicklableError,
    TaskNotPicklableError,
    WorkerCrashedError,
    WorkerPoolClosedError,
    WorkQueueFullError,
)

SAME_PATH = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def statistics(name: str) -> dict[str, float]:
    return {each.metric: each.value for each in get_statistics(WorkerPoolStatistic) if each.name == name}


def nothing_found(name: str) -> None:
    """Stand in for `find_spec` where cloudpickle is not installed."""


def widen(pool: WorkerPool) -> None:
    """Let the workers take several tasks, as they do when tasks are short."""
    for worker in pool._crew.alive:
        worker.window = 16


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
async def test_functions_run_in_workers(start_method: str) -> None:
    async with WorkerPool(2, start_method=start_method) as pool:
        assert await pool.create_task(tasks.double, 21) == 42
        pid, ignores_interrupt = await pool.submit(tasks.environment_of_worker)
        assert pid in pool.pids
        assert not ignores_interrupt
    assert not process_exists(pid)


async def test_many_tasks_in_flight_are_answered_in_their_place() -> None:
    before = outside_work.count
    async with WorkerPool(2, statistic_name="many") as pool:
        results = await asyncio.gather(*(pool.submit(tasks.double, n) for n in range(1000)))
        assert [n * 2 for n in range(1000)] == results
        numbers = statistics("many")
        assert numbers.pop("sum_time") > 0
        assert numbers.pop("submitted") >= 1000
        assert numbers == {
            "processes": 2, "spawning": 0, "queue_size": 0, "task_added": 1000, "done": 1000, "success": 1000,
            "error": 0, "bad_auth": 0,
        }  # fmt: skip
    assert before == outside_work.count


async def test_an_exception_comes_back_as_itself_with_its_traceback() -> None:
    async with WorkerPool(1) as pool:
        with pytest.raises(ValueError, match="too bad") as caught:
            await pool.submit(tasks.fail, "too bad")
        (note,) = caught.value.__notes__
        assert f"in worker process {pool.pids[0]}" in note
        assert "support_tasks.py" in note


@pytest.mark.parametrize(("function", "kind"), [(tasks.fail_oddly, "Odd"), (tasks.exit_politely, "SystemExit")])
async def test_what_cannot_be_raised_here_is_described(function: Any, kind: str) -> None:
    async with WorkerPool(1) as pool:
        before = pool.pids
        with pytest.raises(RemoteTaskError, match=rf"{function.__name__}\(\) raised {kind}"):
            await pool.submit(function)
        assert before == pool.pids


async def test_what_cannot_be_pickled_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.concurrency._worker_task.find_spec", nothing_found)
    async with WorkerPool(1) as pool:
        before = pool.pids
        with pytest.raises(TaskNotPicklableError, match=r"the function .*<lambda>\(\) cannot be sent"):
            _ = pool.submit(lambda: 1)
        with pytest.raises(TaskNotPicklableError, match=r"argument 2 of echo\(\)"):
            _ = pool.submit(tasks.echo, 1, threading.Lock())  # type: ignore[call-arg]
        with pytest.raises(TaskNotPicklableError, match=r"argument value= of echo\(\)"):
            await pool.create_task(tasks.echo, value=threading.Lock())
        with pytest.raises(TaskNotPicklableError, match=r"argument 1 of echo\(\) .*through inheritance"):
            await pool.create_task(tasks.echo, multiprocessing.Lock())
        assert await pool.submit(tasks.double, 1) == 2
        assert before == pool.pids


async def test_what_cannot_be_unpickled_costs_nothing_else() -> None:
    async with WorkerPool(1) as pool:
        before = pool.pids
        with pytest.raises(TaskNotPicklableError, match="could not load it: LookupError: will not load"):
            await pool.submit(tasks.take_unloadable, tasks.Unloadable("away"))
        with pytest.raises(ResultNotPicklableError, match=r"return_lock\(\) returned a lock"):
            await pool.submit(tasks.return_lock)
        with pytest.raises(ResultNotPicklableError, match="will not load"):
            await pool.submit(tasks.return_unloadable, tasks.Unloadable("at home"))
        assert await pool.submit(tasks.double, 1) == 2
        assert before == pool.pids


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_large_values_travel_both_ways(size: int) -> None:
    async with WorkerPool(1) as pool:
        assert bytes(size) == await pool.submit(tasks.echo, bytes(size))
        block = await pool.submit(tasks.echo, tasks.Block(bytearray(b"x" * size)))
        assert b"x" * size == block.data
        assert not block.data.readonly


async def test_one_task_runs_at_a_time_and_others_go_to_idle_workers(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(2) as pool:
        widen(pool)
        held = [pool.submit(tasks.hold, holds.path, "a")]
        first = await holds.next()
        # What goes to the worker behind the held task is called back.
        rest = [pool.submit(tasks.double, n) for n in range(100)]
        assert [n * 2 for n in range(100)] == await asyncio.gather(*rest)
        held.append(pool.submit(tasks.hold, holds.path, "b"))
        second = await holds.next()
        assert first.pid != second.pid
        waiting = pool.submit(tasks.hold, holds.path, "c")
        assert "running=2" in repr(pool)
        assert holds.none_began()
        second.release()
        assert (await holds.next()).pid == second.pid
        holds.release_all()
        assert list("abc") == await asyncio.gather(*held, waiting)


async def test_the_queue_is_bounded(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, 1) as pool:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        waiting = pool.submit(tasks.double, 1)
        with pytest.raises(WorkQueueFullError, match="1 calls wait in the worker pool"):
            _ = pool.submit(tasks.double, 2)
        patient = [asyncio.create_task(pool.create_task(tasks.double, n)) for n in (3, 4)]
        await asyncio.sleep(0)
        held.release()
        assert await asyncio.gather(running, waiting, *patient) == ["a", 2, 6, 8]


async def test_a_cancelled_task_that_waits_never_begins(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        waiting = pool.submit(tasks.note, str(trace), "b")
        assert waiting.cancel()
        assert not waiting.cancel()
        held.release()
        await running
        await pool.submit(tasks.note, str(trace), "c")
    assert trace.read_text() == "c\n"


async def test_a_cancelled_task_that_was_sent_never_begins(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        widen(pool)
        running = pool.submit(tasks.hold, holds.path, "a")
        sent = [pool.submit(tasks.note, str(trace), mark) for mark in "bcd"]
        held = await holds.next()
        in_flight = pool._crew.alive[0].in_flight
        assert len(in_flight) == 4
        sent[1].cancel()
        await until(lambda: len(in_flight) == 3)
        held.release()
        assert list(await asyncio.gather(running, sent[0], sent[2])) == ["a", "b", "d"]
    assert trace.read_text() == "b\nd\n"


async def test_cancelling_interrupts_the_function_and_keeps_the_worker(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        running = asyncio.create_task(pool.create_task(tasks.hold, holds.path, "a"))
        held = await holds.next()
        running.cancel()
        assert await held.next_line() == "interrupted"
        with pytest.raises(asyncio.CancelledError):
            await running
        assert pool.pids == (held.pid,)
        assert await pool.submit(tasks.double, 4) == 8
        assert pool.pids == (held.pid,)


async def test_a_function_deaf_to_interruption_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, cancel_grace=0.01) as pool:
        running = pool.submit(tasks.hold_stubbornly, holds.path, "a")
        held = await holds.next()
        running.cancel()
        assert await pool.submit(tasks.double, 4) == 8
        assert pool.pids != (held.pid,)


@pytest.mark.parametrize("sent", [True, False])
async def test_a_crash_fails_its_own_task_only(sent: bool) -> None:
    async with WorkerPool(1) as pool:
        if sent:  # the others are on the same worker when it dies
            widen(pool)
        crashing = pool.submit(tasks.kill_self)
        others = [pool.submit(tasks.double, n) for n in range(10)]
        with pytest.raises(WorkerCrashedError, match=r"SIGKILL while it ran kill_self\(\)") as caught:
            await crashing
        assert caught.value.signal == "SIGKILL"
        assert caught.value.exit_code is None
        assert [n * 2 for n in range(10)] == await asyncio.gather(*others)


async def test_a_crash_tells_the_exit_code() -> None:
    async with WorkerPool(1, statistic_name="crash") as pool:
        with pytest.raises(WorkerCrashedError, match="exited with 7") as caught:
            await pool.submit(tasks.exit_at_once, 7)
        assert caught.value.exit_code == 7
        assert statistics("crash")["error"] == 1


async def test_a_dead_idle_worker_is_replaced_and_nothing_fails() -> None:
    async with WorkerPool(1) as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        assert await pool.submit(tasks.double, 4) == 8
        assert pool.pids != (pid,)


async def test_workers_are_replaced_after_their_share_of_tasks() -> None:
    async with WorkerPool(1, max_tasks_per_child=3) as pool:
        pids = [pid for pid, _ in await asyncio.gather(*(pool.submit(tasks.environment_of_worker) for _ in range(7)))]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


async def test_the_initializer_runs_in_every_worker() -> None:
    async with WorkerPool(
        1, initializer=tasks.set_up, initializer_args=("model",), initializer_kwargs={"value": 5}
    ) as pool:
        assert await pool.submit(tasks.use_setup, "model") == 5


async def test_a_failing_initializer_is_raised_by_start() -> None:
    with pytest.raises(LookupError, match="no model here") as caught:
        async with WorkerPool(2, initializer=tasks.fail_set_up):
            pass
    assert any("raised by the initializer" in note for note in caught.value.__notes__)


async def test_tasks_given_while_the_pool_starts_get_what_the_initializer_raised() -> None:
    """They got a WorkerPoolClosedError that did not say why."""
    pool = WorkerPool(1, initializer=tasks.fail_set_up)
    starting = asyncio.create_task(pool.start())
    await asyncio.sleep(0)
    early = pool.submit(tasks.double, 1)
    with pytest.raises(LookupError, match="no model here"):
        await starting
    with pytest.raises(LookupError, match="no model here"):
        await early
    with pytest.raises(WorkerPoolClosedError) as caught:
        _ = pool.submit(tasks.double, 1)
    assert isinstance(caught.value.__cause__, LookupError)


async def test_an_initializer_that_fails_in_a_replacement_closes_the_pool(tmp_path: Path) -> None:
    async with WorkerPool(
        1, initializer=tasks.fail_in_second_set_up, initializer_args=(str(tmp_path / "mark"),)
    ) as pool:
        with pytest.raises(WorkerCrashedError):
            await pool.submit(tasks.kill_self)
        pending = [pool.submit(tasks.double, n) for n in range(3)]
        for task in pending:
            with pytest.raises(LookupError, match="no second model"):
                await task
        with pytest.raises(WorkerPoolClosedError) as caught:
            _ = pool.submit(tasks.double, 1)
        assert isinstance(caught.value.__cause__, LookupError)


async def test_an_initializer_that_cannot_travel_is_refused() -> None:
    with pytest.raises(TaskNotPicklableError):
        await WorkerPool(1, initializer=lambda: None).start()
    for argument in (ctypes.pointer(ctypes.c_int()), multiprocessing.get_context("fork").Lock()):
        with pytest.raises(TaskNotPicklableError):
            await WorkerPool(1, initializer=tasks.echo, initializer_args=(argument,)).start()


async def test_a_worker_that_ends_before_it_is_ready_is_a_clear_error() -> None:
    with pytest.raises(ChildStartError, match="it ended with 9 before it was ready"):
        await WorkerPool(1, initializer=tasks.die_in_set_up).start()


async def test_a_pool_whose_workers_do_not_come_back_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mainspring.concurrency._worker_crew._RESTARTS", Backoff(0.001, max_tries=3))
    async with WorkerPool(
        1, initializer=tasks.die_in_second_set_up, initializer_args=(str(tmp_path / "mark"),)
    ) as pool:
        with pytest.raises(WorkerCrashedError):
            await pool.submit(tasks.kill_self)
        with pytest.raises(ChildStartError):
            await pool.submit(tasks.double, 1)
        with pytest.raises(WorkerPoolClosedError) as caught:
            _ = pool.submit(tasks.double, 1)
        assert isinstance(caught.value.__cause__, ChildStartError)
    assert "trying again" in caplog.text


async def test_close_interrupts_fails_and_leaves_nothing(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds:
        pool = WorkerPool(1)
        await pool.start()
        running, waiting = pool.submit(tasks.hold, holds.path, "a"), pool.submit(tasks.double, 1)
        held = await holds.next()
        late = asyncio.create_task(pool.create_task(tasks.double, 1))
        await asyncio.sleep(0)
        await asyncio.gather(pool.close(), pool.close())
        for task in (running, waiting, late):
            with pytest.raises(WorkerPoolClosedError):
                await task
        assert await held.next_line() == "interrupted"
        assert not process_exists(held.pid)
        await pool.close()
        with pytest.raises(WorkerPoolClosedError):
            await pool.create_task(tasks.double, 1)
    assert "closed workers=0/1 running=0 waiting=0" in repr(pool)


async def test_close_ends_the_tasks_of_a_worker_that_has_just_died(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1) as pool:
        widen(pool)
        running = pool.submit(tasks.hold, holds.path, "a")
        await holds.next()
        waiting = [pool.submit(tasks.double, n) for n in range(3)]
        (worker,) = pool._crew.alive
        os.kill(worker.child.pid, signal.SIGKILL)
        await until(lambda: worker.lost)
        await pool.close()
        async with asyncio.timeout(20):
            sent: list[asyncio.Future[Any]] = [running, *waiting]
            outcomes: list[object] = await asyncio.gather(*sent, return_exceptions=True)
        assert all(isinstance(one, WorkerPoolClosedError | WorkerCrashedError) for one in outcomes)


async def test_close_kills_what_does_not_end(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds:
        pool = WorkerPool(1)
        await pool.start()
        running = pool.submit(tasks.hold_stubbornly, holds.path, "a")
        held = await holds.next()
        await pool.close(grace=0.01)
        with pytest.raises(WorkerPoolClosedError):
            await running
        assert not process_exists(held.pid)


async def test_close_while_starting_leaves_nothing() -> None:
    pool = WorkerPool(2)
    starting = asyncio.create_task(pool.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(WorkerPoolClosedError):
        await starting


async def test_a_pool_that_was_never_started_says_so_and_closes() -> None:
    pool = WorkerPool(1)
    with pytest.raises(MisuseError, match="was not started"):
        _ = pool.submit(tasks.double, 1)
    await pool.close()
    with pytest.raises(MisuseError, match="starts once"):
        await pool.start()


async def test_a_queue_without_a_size_is_bounded() -> None:
    """It was unbounded."""
    async with WorkerPool(1) as pool:
        taken: list[asyncio.Future[int]] = []
        with pytest.raises(WorkQueueFullError, match="1024 calls wait"):
            taken.extend(pool.submit(tasks.double, 1) for _ in range(3000))
        assert len(taken) > 1024
        assert 2 * 3000 == sum(await asyncio.gather(*(pool.create_task(tasks.double, 1) for _ in range(3000))))
        assert 2 * len(taken) == sum(await asyncio.gather(*taken))


async def test_a_pool_in_an_argument_leaves_no_descriptor_behind() -> None:
    """What goes to a child that starts would wait, duplicated, for somebody to fetch it."""
    async with WorkerPool(1) as pool:
        before = set(os.listdir("/proc/self/fd"))
        with pytest.raises(TaskNotPicklableError):
            await pool.create_task(tasks.echo, pool._crew._ledger)
        assert before >= set(os.listdir("/proc/self/fd"))


async def test_who_waits_for_room_gets_it_in_order(tmp_path: Path) -> None:
    order: list[int] = []

    async def call(pool: WorkerPool, number: int) -> None:
        order.append(await pool.create_task(tasks.echo, number))

    async with open_holds(tmp_path) as holds, WorkerPool(1, 2) as pool:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        calls = [asyncio.create_task(call(pool, number)) for number in range(30)]
        unpicklable = asyncio.create_task(pool.create_task(tasks.echo, asyncio.get_running_loop()))
        last = asyncio.create_task(call(pool, 30))
        await until(lambda: len(pool._line._turns) == 30)
        calls[20].cancel()
        with pytest.raises(WorkQueueFullError):
            _ = pool.submit(tasks.double, 1)
        held.release()
        await running
        await asyncio.wait([*calls, last, unpicklable])
        assert [number for number in range(31) if number != 20] == order
        with pytest.raises(TaskNotPicklableError):
            await unpicklable


async def test_room_that_is_promised_to_who_waits_is_not_taken(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, 1) as pool:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        queued = pool.submit(tasks.double, 1)
        patient = asyncio.create_task(pool.create_task(tasks.double, 2))
        await until(lambda: len(pool._line._turns) == 1)
        queued.cancel()
        with pytest.raises(WorkQueueFullError):
            _ = pool.submit(tasks.double, 3)
        held.release()
        assert "a" == await running
        assert 4 == await patient


async def test_room_of_a_cancelled_call_goes_to_the_next(tmp_path: Path) -> None:
    async with open_holds(tmp_path) as holds, WorkerPool(1, 1) as pool:
        running = pool.submit(tasks.hold, holds.path, "a")
        held = await holds.next()
        queued = pool.submit(tasks.double, 1)
        first, second = (asyncio.create_task(pool.create_task(tasks.double, n)) for n in (2, 3))
        await until(lambda: len(pool._line._turns) == 2)
        queued.cancel()  # there is room now, and the first has it
        first.cancel()
        await until(lambda: not pool._line._turns and pool._line._called == 0)
        held.release()
        await running
        assert 6 == await second
        assert first.cancelled()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="workers=0"):
        WorkerPool(0)
    with pytest.raises(InvalidArgumentError, match="max_overflow=-1"):
        WorkerPool(1, -1)
    with pytest.raises(InvalidArgumentError, match="max_tasks_per_child=0"):
        WorkerPool(max_tasks_per_child=0)
    with pytest.raises(InvalidArgumentError, match="start_method"):
        WorkerPool(start_method="clone")


async def test_what_is_no_function_is_refused() -> None:
    async with WorkerPool(1) as pool:
        with pytest.raises(InvalidArgumentError, match="a callable"):
            _ = pool.submit("double")  # type: ignore[arg-type]


def run_program(*arguments: str, folder: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=SAME_PATH, input=given, capture_output=True, timeout=50, check=False)


PROGRAM = """
import asyncio, sys
from dataclasses import dataclass
from mainspring.concurrency import WorkerPool

@dataclass
class Point:
    x: int

def move(point):
    return Point(point.x + 1)

async def main():
    async with WorkerPool(1, start_method=sys.argv[1]) as pool:
        print(await pool.create_task(move, Point(1)) == Point(2), move.__module__)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
@pytest.mark.parametrize("how", ["script", "module"])
def test_functions_of_the_main_module_work(tmp_path: Path, how: str, start_method: str) -> None:
    script = tmp_path / "small_main.py"
    script.write_text(PROGRAM)
    target = [str(script)] if how == "script" else ["-m", "small_main"]
    done = run_program(*target, start_method, folder=tmp_path)
    assert done.stdout == b"True __main__\n", done.stderr


@pytest.mark.extras
@pytest.mark.parametrize("how", ["prompt", "pipe"])
def test_with_cloudpickle_functions_without_a_module_work(tmp_path: Path, how: str) -> None:
    """As in a notebook: no worker can import what was typed there."""
    source = PROGRAM.replace("sys.argv[1]", "None").replace(" == Point(2)", "").replace("Point(point.x + 1)", "point.x")
    target, given = (["-c", source], b"") if how == "prompt" else (["-"], source.encode())
    done = run_program(*target, folder=tmp_path, given=given)
    assert done.stdout == b"1 __main__\n", done.stderr


def test_a_main_module_without_a_guard_does_not_start_itself_again(tmp_path: Path) -> None:
    script = tmp_path / "no_guard.py"
    script.write_text(PROGRAM.replace('if __name__ == "__main__":\n    ', ""))
    done = run_program(str(script), "forkserver", folder=tmp_path)
    last = done.stderr.decode().strip().splitlines()[-2:]
    said = (
        "mainspring.errors.MainImportError: a worker process could not import the program's main module: RuntimeError:"
    )
    assert last[0].startswith(said)
    assert last[1].startswith("hint: put what starts the program under `if __name__")
    assert done.stdout == b""


def test_a_package_that_is_run_is_not_imported_for_nothing(tmp_path: Path) -> None:
    """Its main module is called package.__main__; only functions of it need it."""
    package = tmp_path / "small_app"
    package.mkdir()
    (package / "__init__.py").touch()
    program = PROGRAM.replace('if __name__ == "__main__":\n    ', "").replace(
        "move, Point(1)) == Point(2)", "pow, 2, 3) == 8"
    )
    (package / "__main__.py").write_text("print('begun')\n" + program)
    done = run_program("-m", "small_app", "forkserver", folder=tmp_path)
    assert done.stdout == b"begun\nTrue __main__\n", done.stderr


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from mainspring.concurrency import WorkerPool
from tests.unit.concurrency import support_tasks as tasks
async def main():
    async with WorkerPool(2) as pool:
        _ = pool.submit(tasks.double, 1)
        print(*pool.pids, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=SAME_PATH) as parent:
        assert parent.stdout is not None
        watches = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert [ended(watch) for watch in watches] == [True, True]
    for watch in watches:
        os.close(watch)
