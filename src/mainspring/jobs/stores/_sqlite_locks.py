"""Says which nodes live: each holds an OS lock on a file of its own beside the database.

The kernel drops the lock when the process dies, however it dies, so that another node on this host knows at
once. `flock` belongs to the open file and not to the process: two nodes of one process see each other's.
"""

import fcntl
import os
from pathlib import Path
from typing import Literal

from mainspring.base import new_id

_SUFFIX = ".lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(source: Path = BOOT_ID) -> str:
    """Return what names this boot of this host; monotonic time of one boot means nothing to another."""
    try:
        return source.read_text(encoding="ascii").strip()
    except OSError:
        return f"host {os.uname().nodename}"


class NodeLock:
    """A locked file that says "this node lives" until `release`, or until the process is gone."""

    def __init__(self, database: Path) -> None:
        folder = database.with_name(database.name + "-nodes")
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path = folder / f"{new_id()}{_SUFFIX}"
        unlocked = self.path.with_suffix(".new")  # nobody looks at it before it is locked
        self._descriptor: int | None = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(self.path)

    def release(self) -> None:
        """Remove the file and drop the lock; may be called again."""
        if self._descriptor is not None:
            remove(self.path)
            os.close(self._descriptor)
            self._descriptor = None


def look(path: Path) -> Literal["held", "free", "missing"]:
    """Tell whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return "missing"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: others may look in the same moment
    except BlockingIOError:
        return "held"
    finally:
        os.close(descriptor)
    return "free"


class Graveyard:
    """Tells when a lock is found free that was held: a few system calls for each node, none of them waits."""

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(database.name + "-nodes")
        self._known: set[str] = set()  # to be free

    def grew(self) -> bool:
        """Look at all locks; tell whether one is free that was not at the last look."""
        try:
            names = [name for name in os.listdir(self._folder) if name.endswith(_SUFFIX)]
        except FileNotFoundError:
            names = []
        free = {name for name in names if look(self._folder / name) == "free"}
        grew = not free <= self._known
        self._known = free
        return grew


def remove(path: Path) -> None:
    """Remove a dead node's file, and the folder with the last one."""
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        return  # other nodes have theirs in it
