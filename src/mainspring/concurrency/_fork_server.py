"""What children start from: the resource tracker, our own fork server, and the lifeline.

The fork server is an instance of its own, so that the program's `multiprocessing` keeps its settings
(preloaded modules above all). The lifeline is a pipe that nobody writes to: only this process holds its write
end, every child holds a copy of its read end, and sees the end of file when this process is gone, however it
went.
"""

import os
import signal
import threading
from multiprocessing import resource_tracker
from multiprocessing.forkserver import ForkServer

# The second one is needed to read the first message: 0.6 of the 4.8 ms that a worker's start costs in the child.
PRELOADED = ["mainspring.concurrency._worker_main", "multiprocessing.popen_forkserver"]


class _Server(ForkServer):
    """Starts with SIGINT blocked: Ctrl-C reaches all processes of a terminal, and would end it while it imports.

    Its children are born so, too; `run_child` takes the block away when they are ready to begin.
    """

    def ensure_running(self) -> None:
        """Start it unless it runs."""
        resource_tracker.ensure_running()  # before: it takes away the blocks of signals that it finds
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            super().ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


_lock = threading.Lock()
_server: ForkServer | None = None
_lifeline: tuple[int, int] | None = None
_hook_registered = False


def start_child_infrastructure() -> None:
    """Start the resource tracker and the fork server, and open the lifeline, unless they are there.

    Children need them anyway; a program that counts its descriptors and processes (tests do) starts them
    first, so that the counts stand still. Blocks for some milliseconds. Safe from any thread.
    """
    resource_tracker.ensure_running()
    fork_server().ensure_running()
    lifeline()


def fork_server() -> ForkServer:
    """Return this process's fork server; it starts when the first child is asked for."""
    global _server
    with _lock:
        if _server is None:
            _register_hook()
            _server = _Server()
            _server.set_forkserver_preload(PRELOADED)
        return _server


def drop_fork_server() -> None:
    """Forget a fork server that does not answer; the next child starts another."""
    global _server
    with _lock:
        alive_fd: int | None = getattr(_server, "_forkserver_alive_fd", None)
        _server = None
    if alive_fd is not None:
        os.close(alive_fd)  # should it live after all, this asks it to end with its last child


def lifeline() -> int:
    """Return the read end of the pipe whose end of file says that this process is gone."""
    global _lifeline
    with _lock:
        if _lifeline is None:
            _register_hook()
            _lifeline = os.pipe()
        return _lifeline[0]


def _register_hook() -> None:
    """Ask for `_forget` in forked children, once per process tree."""
    global _hook_registered
    if not _hook_registered:
        _hook_registered = True
        os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """Drop what belongs to the parent: a copy of the write end here would hide its death."""
    global _lock, _server, _lifeline
    _lock = threading.Lock()  # another thread of the parent may have held it
    _server = None
    if _lifeline is not None:
        os.close(_lifeline[1])
        _lifeline = None
