"""Children start in every way, are watched, and never outlive their parent."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.concurrency import support_children as support

from mainspring.concurrency import _child, _fork_server, spawn_child, spawn_module, start_child
from mainspring.errors import ChildStartError, InvalidArgumentError, TaskNotPicklableError
from mainspring.testing import limit_descriptors

SAME_PATH = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

every_method = pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])


@contextmanager
def channel() -> Generator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def line(ours: socket.socket) -> str:
    async with asyncio.timeout(20):
        return await asyncio.to_thread(support.read_line, ours)


@every_method
async def test_a_child_calls_its_function_and_exits(start_method: str) -> None:
    with channel() as (ours, theirs):
        child = await start_child(support.tell, (theirs, "hello"), start_method=start_method)
        assert await line(ours) == "hello"
        assert await child.wait() == 0
    assert not child.is_running
    assert child.signal_name is None


@every_method
async def test_the_exit_code_comes_back(start_method: str) -> None:
    child = await start_child(support.exit_with, (41,), start_method=start_method)
    assert await child.wait() == 41
    assert "exit_code=41" in repr(child)


@every_method
async def test_a_signal_is_told_by_its_name(start_method: str) -> None:
    with channel() as (ours, theirs):
        child = await start_child(support.tell_pid_and_wait, (theirs,), start_method=start_method)
        assert await line(ours) == str(child.pid)
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == -signal.SIGTERM
    assert child.signal_name == "SIGTERM"
    child.kill()  # too late: nothing happens


async def test_stop_kills_a_child_that_does_not_listen() -> None:
    with channel() as (ours, theirs):
        child = await spawn_child(support.ignore_terminate_and_wait, theirs)
        await line(ours)
        assert await child.stop(grace=0.01) == -signal.SIGKILL


async def test_stop_of_an_obedient_child_waits_for_its_end() -> None:
    with channel() as (ours, theirs):
        child = await spawn_child(support.tell_pid_and_wait, theirs)
        await line(ours)
        assert "running" in repr(child)
        assert await child.stop(grace=20) == -signal.SIGTERM


async def test_a_child_has_the_environment_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fork_server.start_child_infrastructure()
    monkeypatch.setenv("MAINSPRING_TEST", "now")
    monkeypatch.chdir(tmp_path)
    with channel() as (ours, theirs):
        child = await spawn_child(support.tell_environment, theirs, "MAINSPRING_TEST")
        assert await line(ours) == f"now {tmp_path}"
        await child.wait()


async def test_a_child_may_have_children_of_its_own() -> None:
    child = await spawn_child(support.have_a_child)
    assert await child.wait() == 7


async def test_a_module_runs_as_with_python_m(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small_program.py").write_text(
        "import sys\nif __name__ == '__main__': raise SystemExit(len(sys.argv[1]))\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    child = await spawn_module("small_program", "seven!!")
    assert await child.wait() == 7


async def test_a_lambda_is_refused_with_a_sentence() -> None:
    with pytest.raises(TaskNotPicklableError, match="cannot be sent to another process"):
        await spawn_child(lambda: None)


async def test_an_unknown_start_method_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="start_method='clone'"):
        await start_child(support.exit_with, (0,), start_method="clone")


async def test_a_cancelled_start_leaves_no_child() -> None:
    with channel() as (ours, theirs):
        starting = asyncio.create_task(spawn_child(support.tell_pid_and_wait, theirs))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not any(thread.name.startswith("start ") for thread in threading.enumerate())
        theirs.close()
        # End of file, not a timeout: nobody holds the other end any more.
        while await line(ours):
            pass


async def test_exhausted_descriptors_are_a_clear_error() -> None:
    _fork_server.start_child_infrastructure()
    with limit_descriptors(0), pytest.raises(ChildStartError, match="did not start") as caught:
        await spawn_child(support.exit_with, 0)
    assert "ulimit" in str(caught.value.hint)
    child = await spawn_child(support.exit_with, 3)
    assert await child.wait() == 3


async def test_a_thread_that_the_system_refuses_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(ChildStartError, match=r"did not start: .*can't start new thread"):
            await spawn_child(support.exit_with, 0)
    child = await spawn_child(support.exit_with, 3)
    assert await child.wait() == 3


@pytest.mark.allow_leaks("children", "descriptors", reason="the new fork server stays")
async def test_a_killed_fork_server_is_replaced() -> None:
    _fork_server.start_child_infrastructure()
    with channel() as (ours, theirs):
        orphan = await spawn_child(support.tell_pid_and_wait, theirs)
        await line(ours)
        server = _fork_server._server
        os.kill(getattr(server, "_forkserver_pid"), signal.SIGKILL)  # noqa: B009
        # Nobody can tell how the child ends from here on; it is killed, and said to have ended somehow.
        assert await orphan.wait() is None
    child = await spawn_child(support.exit_with, 5)
    assert await child.wait() == 5


@pytest.mark.allow_leaks("children", "descriptors", reason="the new fork server stays, and the old one may linger")
async def test_a_fork_server_that_is_dropped_is_replaced() -> None:
    before = _fork_server.fork_server()
    _fork_server.start_child_infrastructure()
    _fork_server.drop_fork_server()
    child = await spawn_child(support.exit_with, 5)
    assert await child.wait() == 5
    assert before is not _fork_server.fork_server()


@every_method
def test_a_child_outlives_the_thread_that_started_it(start_method: str) -> None:
    program = f"""
import asyncio, os, signal, socket, threading
from tests.unit.concurrency import support_children as support
from mainspring.concurrency import start_child

async def start(theirs):
    await start_child(support.tell_pid_and_wait, (theirs,), start_method={start_method!r})

if __name__ == "__main__":
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=lambda: asyncio.run(start(theirs)))
    thread.start()
    thread.join()
    pid = int(support.read_line(ours))
    print(support.process_exists(pid), flush=True)
    os.kill(pid, signal.SIGKILL)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=SAME_PATH, timeout=50, check=True)
    assert "True" == done.stdout.strip()


@every_method
def test_a_child_ends_with_a_killed_parent(start_method: str) -> None:
    program = f"""
import asyncio, sys, socket
from mainspring.testing import limit_descriptors
from tests.unit.concurrency import support_children as support
from mainspring.concurrency import start_child
async def main():
    ours, theirs = socket.socketpair()
    child = await start_child(support.tell_pid_and_wait, (theirs,), start_method={start_method!r})
    print(support.read_line(ours), flush=True)
    await child.wait()
if __name__ == "__main__":
    asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=SAME_PATH) as parent:
        assert parent.stdout is not None
        watch = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert support.ended(watch)
    finally:
        os.close(watch)


@every_method
async def test_ends_are_seen_where_there_are_no_pid_descriptors(
    start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with channel() as (ours, theirs):
        child = await start_child(support.tell_pid_and_wait, (theirs,), start_method=start_method)
        await line(ours)
        child.kill()
        assert await child.wait() == -signal.SIGKILL


async def test_a_process_that_is_gone_takes_no_signal() -> None:
    child = await spawn_child(support.exit_with, 0)
    await child.wait()
    _child._send_signal(child.pid, None, signal.SIGTERM)


async def test_signals_without_a_name_are_told_by_number() -> None:
    with channel() as (ours, theirs):
        child = await spawn_child(support.tell_pid_and_wait, theirs)
        await line(ours)
        child.send_signal(signal.SIGRTMIN + 1)
        await child.wait()
    assert child.signal_name == f"signal {signal.SIGRTMIN + 1}"


async def test_where_no_descriptor_is_left_to_watch_the_pid_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    child = await start_child(support.exit_with, (3,), start_method="fork")
    assert await child.wait() == 3
