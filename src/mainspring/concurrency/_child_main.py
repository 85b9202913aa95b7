"""The first steps of a child process: its environment, its watch over the parent, its main module.

The fork server imports this file once; nothing here runs in the parent.
"""

import os
import pickle
import runpy
import signal
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import process
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any, Final, Literal  # Any: what a caller hands to its child

from mainspring.base import ChildFinder, child_finders

ORPHANED = 82
"""The exit code of a child whose parent is gone."""

NAMES_MAIN: Final = b"\x8c\x08__main__"
"""What a pickle that refers to the main module holds: the name as a string of its own.

`python -m app` is named app.__main__ in what every child is told; that must not import it.
"""

_main_imported = False


@dataclass(frozen=True, slots=True)
class MainModule:
    """Where the parent's `__main__` came from."""

    kind: Literal["name", "path"]
    origin: str


def describe_main() -> MainModule | None:
    """Return where this process's `__main__` came from; None when it cannot be imported again."""
    main = sys.modules["__main__"]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return MainModule("name", spec.name)
    file = os.path.abspath(getattr(main, "__file__", None) or "")
    return MainModule("path", file) if os.path.isfile(file) else None  # a program from a pipe is called "<stdin>"


def import_main(main: MainModule | None) -> None:
    """Make the parent's `__main__` this process's, under the name `__mp_main__`, once.

    It happens when the first function or class of it arrives, not at the start: most children never need it,
    and a program without `if __name__ == "__main__"` would start itself again in each of them.
    """
    global _main_imported
    if main is None or _main_imported:
        return
    current: Any = process.current_process()
    current._inheriting = True  # multiprocessing refuses to start processes meanwhile, with an explanation
    try:
        if main.kind == "name":
            content = runpy.run_module(main.origin, run_name="__mp_main__", alter_sys=True)
        else:
            content = runpy.run_path(main.origin, run_name="__mp_main__")
    finally:
        del current._inheriting
    module = types.ModuleType("__mp_main__")
    module.__dict__.update(content)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    _main_imported = True


class Descriptor:
    """A file descriptor that travels to a child that starts: under fork as it is, otherwise as a duplicate.

    Nowhere else: a duplicate that waits for somebody to fetch it would stay open.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __getstate__(self) -> object:
        if get_spawning_popen() is None:
            raise TypeError("a file descriptor goes to a child when it starts, not with a task")
        return DupFd(self.fd)

    def __setstate__(self, duplicate: Any) -> None:
        self.fd = duplicate.detach()


class Packed:
    """A value that the child unpacks when it is ready to, with the main module only if the value needs it."""

    def __init__(self, value: object) -> None:
        self._value = value
        self._pickled: bytes | None = None
        self._main: MainModule | None = None

    def __getstate__(self) -> tuple[bytes, MainModule | None]:
        try:
            pickled = bytes(ForkingPickler.dumps(self._value))
        except (ValueError, RuntimeError) as error:  # who starts children takes these for other troubles
            raise pickle.PicklingError(str(error)) from error
        popen: Any = get_spawning_popen()
        # multiprocessing's own spawn has imported the main module by the time that the child sees this
        lazily = NAMES_MAIN in pickled and popen is not None and popen.method != "spawn"
        return pickled, describe_main() if lazily else None

    def __setstate__(self, state: tuple[bytes, MainModule | None]) -> None:
        self._value = None
        self._pickled, self._main = state

    def unpack(self) -> Any:
        """Return the value, in the child."""
        if self._pickled is None:
            return self._value
        import_main(self._main)
        return pickle.loads(self._pickled)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a child that was not forked takes from its parent."""

    environment: Mapping[str, str]
    finders: Sequence[ChildFinder]


def describe_surroundings() -> Surroundings:
    """Return those of this process."""
    return Surroundings(dict(os.environ), child_finders())


def run_child(lifeline: Descriptor, surroundings: Surroundings | None, call: Packed) -> None:
    """Be the child: watch the parent, then call what was packed. A forked one has its surroundings."""
    threading.Thread(target=_exit_with_parent, args=(lifeline.fd,), name="parent-watch", daemon=True).start()
    if surroundings is not None:
        _take_environment(surroundings.environment)
        sys.meta_path[:0] = surroundings.finders
    else:
        _drop_signal_handling()
    function, args, kwargs = call.unpack()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))  # which its fork server has blocked
    function(*args, **kwargs)


def run_as_module(module: str, argv: tuple[str, ...]) -> None:
    """Run `module` as `python -m` would."""
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def call_in_child(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> Packed:
    """Pack one call."""
    return Packed((function, args, kwargs))


def _exit_with_parent(lifeline: int) -> None:
    """Wait for the end of file that comes with the parent's end; then this process ends, whatever it does."""
    while os.read(lifeline, 1):
        pass
    os._exit(ORPHANED)


def _take_environment(environment: Mapping[str, str]) -> None:
    """Follow the parent: the fork server's own environment dates from its start."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _drop_signal_handling() -> None:
    """Take down what a forked parent's event loop has set up: its wake-up pipe is not ours to write to."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
