"""Keeps a SQLite file from being opened by plain `open()` while this process uses it.

Locks of POSIX belong to a process and a file: whatever descriptor of the file is closed, all locks that the process
holds on it fall, and another process may write in the midst of a transaction. So a file that is open by `open()`
already is refused, and as long as it is guarded such an `open()` is, by an audit hook. Source: "How To Corrupt An
SQLite Database File", 2.2; SQLite itself opens its files with O_NOFOLLOW, and so they are told apart.
"""

import os
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final  # Any: an audit hook gets arguments of every kind

from mainspring.errors import StoreOpenError

_DESCRIPTORS: Final = Path("/proc/self/fd")
_FACTS: Final = Path("/proc/self/fdinfo")

Identity = tuple[int, int]
"""The device and the number of a file."""


class SqliteGuard:
    """The files that this process has open as databases, once for each owner. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.files: dict[str, list[Path]] = {}  # by name, since the hook sees every `open()` of the program
        self._is_hooked = False

    def add(self, path: Path) -> Collection[Path]:
        """Guard a database from now on; return its files that hold locks, for `remove`.

        Raises:
            StoreOpenError: this process has it open by plain `open()`.
        """
        real = path.resolve()
        files = {path.absolute(), real, real.with_name(f"{real.name}-shm")}
        with self._lock:
            if not self._is_hooked:
                self._is_hooked = True
                _install_hook(self)
            for file in files:
                self.files.setdefault(file.name, []).append(file)
        try:
            _refuse_if_open(files)  # now that nobody can open them any more
        except BaseException:
            self.remove(files)
            raise
        return files

    def remove(self, files: Collection[Path]) -> None:
        """Take back one `add`."""
        with self._lock:
            for file in files:
                same = self.files.get(file.name, [])
                if file in same:  # nothing is guarded any more after a fork
                    same.remove(file)
                if not same:
                    self.files.pop(file.name, None)

    def forget(self) -> None:
        """Guard nothing: in the child of a fork, which holds none of its parent's locks."""
        self._lock = threading.Lock()
        self.files.clear()

    def check(self, path: str | bytes | os.PathLike[str] | int, flags: int) -> None:
        """Refuse to open a guarded file."""
        if isinstance(path, int) or flags & os.O_EXCL:  # which opens no file that is there
            return
        opened = os.fsdecode(path)
        for file in tuple(self.files.get(os.path.basename(opened), ())):
            if _identity(opened) == _identity(file) is not None:
                raise _refusal(file, "a store of this process")


def _install_hook(guard: SqliteGuard) -> None:
    """Have every `open()` of the program looked at; a hook cannot be taken out again."""
    files = guard.files

    # Called for all that Python audits, as often as a program calls id(): a function without a self costs a quarter
    # of a method here.
    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and files:
            guard.check(arguments[0], arguments[2])

    setattr(look, "__cantrace__", True)  # noqa: B010  # what Python asks a hook for: debuggers may see into it
    sys.addaudithook(look)


def _refuse_if_open(files: Collection[Path]) -> None:
    """Look through the descriptors of this process, where the system shows them."""
    wanted: dict[Identity | None, Path] = {_identity(file): file for file in files}
    wanted.pop(None, None)
    try:
        numbers = os.listdir(_DESCRIPTORS)
    except OSError:
        return
    for number in numbers:
        file = wanted.get(_identity(_DESCRIPTORS / number))
        if file is not None and not _flags(number) & os.O_NOFOLLOW:
            raise _refusal(file, f"open in this process by descriptor {number}")


def _flags(number: str) -> int:
    """Return how a descriptor was opened; as SQLite does when it is gone meanwhile."""
    try:
        facts = dict(line.split(":\t", 1) for line in (_FACTS / number).read_text().splitlines()[:3])
    except OSError:
        return os.O_NOFOLLOW
    return int(facts["flags"], 8)


def _identity(path: str | Path) -> Identity | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _refusal(path: Path, what: str) -> StoreOpenError:
    return StoreOpenError(
        store=str(path),
        reason=f"it is {what}, and closing a plain open() of it drops the locks that keep it whole",
        hint="read it with sqlite3, copy it with `mainspring db backup`, or close one of the two first",
    )


guard: Final = SqliteGuard()
os.register_at_fork(after_in_child=guard.forget)
