"""Starting a process, in one of three ways; blocks for milliseconds, so it runs in a thread of its own."""

import errno
import io
import os
import sys
from collections.abc import Callable
from multiprocessing import get_context, popen_fork, popen_forkserver, popen_spawn_posix, spawn, util
from multiprocessing.context import set_spawning_popen
from multiprocessing.forkserver import read_signed
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from typing import Any, Literal  # Any: multiprocessing's own objects

from mainspring.concurrency._child_main import Descriptor, call_in_child, describe_surroundings, run_child
from mainspring.concurrency._fork_server import drop_fork_server, fork_server, lifeline
from mainspring.errors import ChildStartError, InvalidArgumentError, TaskNotPicklableError

StartMethod = Literal["forkserver", "spawn", "fork"]
_START_METHODS: tuple[StartMethod, ...] = ("forkserver", "spawn", "fork")
DEFAULT_START_METHOD: StartMethod = "forkserver" if sys.platform == "linux" else "spawn"

_SERVER_TROUBLE = (ConnectionError, FileNotFoundError, ChildProcessError, EOFError)


def check_start_method(method: str | None) -> StartMethod:
    """Return the start method to use.

    Raises:
        InvalidArgumentError: it is none of the three.
    """
    if method is None:
        return DEFAULT_START_METHOD
    for known in _START_METHODS:
        if method == known:
            return known
    raise InvalidArgumentError(argument="start_method", value=method, expected="'forkserver', 'spawn', 'fork' or None")


def start_process(
    method: StartMethod,
    name: str,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> popen_fork.Popen:
    """Start a child that calls `function`; return the handle with `pid`, `sentinel` and `poll()`.

    Not a `multiprocessing.Process`: that one would be joined at exit, and reaped by whoever starts the next.

    Raises:
        TaskNotPicklableError: the function or an argument cannot travel.
        ChildStartError: the system has no process, memory or descriptor left.
    """
    context: Any = get_context(method)
    surroundings = None if method == "fork" else describe_surroundings()
    try:
        boot = (Descriptor(lifeline()), surroundings, call_in_child(function, args, kwargs))
        process: BaseProcess = context.Process(target=run_child, args=boot, name=name)
        return _launch(method, process)
    except (PicklingError, TypeError, AttributeError) as error:
        raise TaskNotPicklableError(what=f"what {name} should do", reason=str(error)) from error
    except (OSError, EOFError) as error:
        raise not_started(name, error) from error


def not_started(name: str, error: OSError | EOFError | RuntimeError) -> ChildStartError:
    """Say why a child could not be started."""
    lacking = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
    hint = "raise the limit of open files (ulimit -n)" if lacking else None
    return ChildStartError(child=name, reason=str(error) or type(error).__name__, hint=hint)


def _launch(method: StartMethod, process: BaseProcess) -> popen_fork.Popen:
    if method == "fork":
        return popen_fork.Popen(process)
    if method == "spawn":
        return popen_spawn_posix.Popen(process)
    try:
        return _ForkServerPopen(process)
    except _SERVER_TROUBLE:
        drop_fork_server()  # it was killed; a second trouble is for the caller to hear
        return _ForkServerPopen(process)


class _ForkServerPopen(popen_forkserver.Popen):
    """A start through our own fork server, without importing the main module in the child."""

    _fds: list[int]

    def _launch(self, process_obj: BaseProcess) -> None:
        preparation: dict[str, Any] = spawn.get_preparation_data(process_obj.name)
        for key in ("init_main_from_name", "init_main_from_path"):
            preparation.pop(key, None)
        message = io.BytesIO()
        set_spawning_popen(self)
        try:
            ForkingPickler(message).dump(preparation)
            ForkingPickler(message).dump(process_obj)
        finally:
            set_spawning_popen(None)
        self.sentinel, data_w = fork_server().connect_to_new_process(self._fds)
        self.finalizer = util.Finalize(self, _close_descriptors, (os.dup(data_w), self.sentinel))
        with open(data_w, "wb") as pipe:
            pipe.write(message.getbuffer())
        self.pid = read_signed(self.sentinel)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit code that the fork server has sent; None while it has not, or cannot any more."""
        if self.returncode is None:
            try:
                self.returncode = read_signed(self.sentinel)
            except (OSError, EOFError):
                return None
        return self.returncode


def _close_descriptors(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
