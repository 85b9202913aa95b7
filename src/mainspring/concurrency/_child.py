"""Child processes of the house: started from a function or a module, watched by the loop, never orphaned."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.popen_fork import Popen
from typing import ParamSpec

from mainspring.concurrency._child_main import run_as_module
from mainspring.concurrency._child_start import StartMethod, check_start_method, not_started, start_process
from mainspring.concurrency._own_thread import in_own_thread

P = ParamSpec("P")

_REAP_INTERVAL = 0.001
_REAP_TRIES = 1000


async def spawn_child(
    function: Callable[P, object],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> "ChildProcess":
    """Start a child process that calls `function` with these arguments, in the default way.

    See `start_child` for what may travel and for the choices.
    """
    return await start_child(function, args, kwargs)


async def spawn_module(module: str, *argv: str) -> "ChildProcess":
    """Start a child process that runs `module` as `python -m module *argv` would."""
    return await start_child(run_as_module, (module, argv), name=module)


async def start_child(
    function: Callable[..., object],
    args: tuple[object, ...] = (),
    kwargs: dict[str, object] | None = None,
    *,
    name: str | None = None,
    start_method: str | None = None,
) -> "ChildProcess":
    """Start a child process that calls `function(*args, **kwargs)` and exits; wait until it has a pid.

    The child has this process's environment, working directory and `sys.path`. It exits when this process is
    gone, whatever it does at that moment, and lives on when only the thread that started it ends. Sockets,
    connections and `Descriptor`s among the arguments are duplicated; everything else is pickled (not under
    fork). Functions of the main module work.

    A cancelled start kills the child. The caller owns the child: it stops it, or waits for it.

    Args:
        function: called in the child's main thread; its exceptions are printed there, and the exit code is 1.
        args: its positional arguments.
        kwargs: its keyword arguments.
        name: for messages and the process's `multiprocessing` name; default: the function's name.
        start_method: "forkserver" (the default on Linux, about 10 ms), "spawn" (the default elsewhere,
            about 100 ms) or "fork" (everything is inherited, locks that other threads hold included).

    Raises:
        InvalidArgumentError: an unknown start method.
        TaskNotPicklableError: the function or an argument cannot travel.
        ChildStartError: the system has no process, thread, memory or descriptor left.
    """
    method = check_start_method(start_method)
    label = name or str(getattr(function, "__qualname__", type(function).__qualname__))

    def start() -> Popen:
        return start_process(method, label, function, args, kwargs or {})

    if method == "fork":
        popen = start()  # about 1 ms; in a thread of its own it would be a fork beside threads, always
    else:
        try:
            popen = await in_own_thread(start, abandoned=_kill_abandoned, name=f"start {label}")
        except OSError as error:
            raise not_started(label, error) from error
    return ChildProcess(popen, name=label, start_method=method)


class ChildProcess:
    """One child process. Made by `start_child`; used from the loop that started it.

    Attributes:
        name: for messages.
        pid: its process id; may belong to another process once this one has ended.
        exit_code: None while it runs, or when nobody could tell; minus the signal's number when one ended it.
    """

    def __init__(self, popen: Popen, *, name: str, start_method: StartMethod) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen = popen
        self.name = name
        self.pid = popen.pid
        self.exit_code: int | None = None
        self._through_server = start_method == "forkserver"
        self._pid_fd = _open_pid_fd(self.pid)
        self._ended: asyncio.Future[None] = self._loop.create_future()
        # The fork server tells the exit code through the sentinel. Of our own child the kernel tells the end:
        # a sentinel is a pipe, which grandchildren may hold open.
        use_sentinel = self._through_server or self._pid_fd is None
        self._watched_fd = popen.sentinel if use_sentinel or self._pid_fd is None else self._pid_fd
        self._loop.add_reader(self._watched_fd, self._on_end)

    def __repr__(self) -> str:
        state = "running" if self.is_running else f"exit_code={self.exit_code}"
        return f"<ChildProcess {self.name!r} pid={self.pid} {state}>"

    @property
    def is_running(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self._ended.done()

    @property
    def signal_name(self) -> str | None:
        """The name of the signal that ended it, as "SIGKILL"; None when none did."""
        if self.exit_code is None or self.exit_code >= 0:
            return None
        try:
            return signal.Signals(-self.exit_code).name
        except ValueError:
            return f"signal {-self.exit_code}"

    async def wait(self) -> int | None:
        """Wait until it has ended; return the exit code, or None when nobody could tell. May be cancelled."""
        await asyncio.shield(self._ended)  # shielded: one waiter's cancellation is not the others'
        return self.exit_code

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended. Never hits a later process with the same pid."""
        if self.is_running:
            _send_signal(self.pid, self._pid_fd, number)

    def kill(self) -> None:
        """End it (SIGKILL)."""
        self.send_signal(signal.SIGKILL)

    async def stop(self, *, grace: float = 3.0, signal_number: int = signal.SIGTERM) -> int | None:
        """Ask it to end, kill it after `grace` seconds, wait for the end; return the exit code.

        When the caller is cancelled meanwhile, the child is killed at once.
        """
        self.send_signal(signal_number)
        try:
            async with asyncio.timeout(grace):  # noqa: TID251  # resilience lies above
                return await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
        return await self.wait()

    def _on_end(self) -> None:
        self._loop.remove_reader(self._watched_fd)
        self._reap(_REAP_TRIES)

    def _reap(self, tries: int) -> None:
        self.exit_code = self._popen.poll()
        if self.exit_code is None:
            if self._through_server:
                self.kill()  # the fork server is gone, and nobody else will tell when this child ends
            elif tries and not self._pid_fd:
                # The pipe of a child closes a moment before there is an exit code to read.
                self._loop.call_later(_REAP_INTERVAL, self._reap, tries - 1)
                return
        self._popen.close()
        if self._pid_fd is not None:
            os.close(self._pid_fd)
            self._pid_fd = None
        self._ended.set_result(None)


def _kill_abandoned(popen: Popen) -> None:
    """Kill a child whose starter has gone; its zombie is the fork server's, or reaped here."""
    _send_signal(popen.pid, None, signal.SIGKILL)
    popen.wait()
    popen.close()


def _open_pid_fd(pid: int) -> int | None:
    """Return a descriptor that means this process and no later one; None where there are none, or none left."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _send_signal(pid: int, pid_fd: int | None, number: int) -> None:
    try:
        if sys.platform == "linux" and pid_fd is not None:
            signal.pidfd_send_signal(pid_fd, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass
