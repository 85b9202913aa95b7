"""Whose spool is whose: each node has a folder of its own under a root, held by an OS lock while the node lives.

A node takes over a folder that nobody holds, and moves the letters of all others that nobody holds into it: they
belong to processes that died.
"""

import errno
import fcntl
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mainspring.base import make_private_folder, new_id
from mainspring.sinks._segments import SegmentLog

log = logging.getLogger(__name__)

_LOCK: Final = "owner.lock"


class SpoolFolder:
    """A folder with a log, held by this process. Every method blocks; one thread at a time."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._lock: int | None = None
        self.log: SegmentLog

    def open(self) -> SegmentLog:
        """Take a folder and return its log, with the letters of the dead in it.

        Raises:
            OSError: the root cannot be used.
        """
        make_private_folder(self._root)
        free = [(path, lock) for path in sorted(self._root.iterdir()) if (lock := take_lock(path)) is not None]
        if not free:
            folder = self._root / new_id()
            folder.mkdir(mode=0o700)
            lock = take_lock(folder)
            if lock is None:
                return self.open()  # another process, opening at this moment, took it for a dead one's
            free = [(folder, lock)]
        (folder, self._lock), *others = free
        self.log = SegmentLog(folder, max_bytes=self._max_bytes)
        try:
            self.log.open()
        except OSError:
            for _, held in free:
                os.close(held)
            self._lock = None
            raise
        for path, held in others:
            self._adopt(path, held)
        return self.log

    def keep(self, contents: Sequence[bytes]) -> list[int]:
        """Keep some data as `SegmentLog.put` does, in a folder that is whole."""
        self.mend()
        return self.log.put(contents)

    def mend(self) -> None:
        """Make anew what somebody removed of the folder while it is ours, and say what is gone with it.

        Raises:
            OSError: it cannot be made.
        """
        is_ours = self._lock is not None and _is_at(self._lock, self.log.folder / _LOCK)
        if not is_ours:
            self._take_again()
        lost = self.log.forget_missing()
        if lost or not is_ours:
            text = "the spool's folder %s was removed while it was in use, or files of it: %d letters are lost"
            log.error(text, self.log.folder, lost)

    def _take_again(self) -> None:
        """Make the folder under its name or, if another process has that by now, under a new one."""
        make_private_folder(self._root)
        for folder in (self.log.folder, self._root / new_id()):
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = take_lock(folder)
            if lock is not None:
                break
        else:
            raise BlockingIOError(errno.EAGAIN, "the folder cannot be locked", str(self._root))
        if self._lock is not None:
            os.close(self._lock)
        self._lock, self.log.folder = lock, folder

    def close(self) -> None:
        """Let go of the folder; an empty one is removed."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        self.log.close()
        if not self.log.places:
            _remove(self.log.folder)
        os.close(lock)

    def _adopt(self, folder: Path, lock: int) -> None:
        """Move the letters of a dead node's folder into ours; what finds no room stays where it is."""
        theirs = SegmentLog(folder, max_bytes=self._max_bytes)
        try:
            theirs.open()
            for number, place in sorted(theirs.places.items()):
                data = theirs.read(number)
                if data is not None:
                    ids = self.log.put([data], tries=place.tries)
                    if place.dead is not None:
                        self.log.bury(ids, place.dead)
                theirs.done([number])
            theirs.close()
            _remove(folder)
        except (OSError, RuntimeError) as error:
            theirs.close()
            log.error("the spool of a dead node stays in %s: %s", folder, error)
        finally:
            os.close(lock)


def is_held(folder: Path) -> bool:
    """Tell whether a running process owns a folder."""
    lock = take_lock(folder)
    if lock is not None:
        os.close(lock)
    return lock is None


def take_lock(folder: Path) -> int | None:
    """Return a descriptor that holds a folder's lock, None when another process holds it or it is no spool."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(lock, folder / _LOCK):
            return lock
    except OSError:
        pass  # held, or removed by the one who held it
    os.close(lock)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file still lies at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(folder: Path) -> None:
    """Remove a folder of which we hold the lock and whose log is empty; what is not ours stays."""
    for path in (*folder.glob("*.seg"), *folder.glob("*.replay"), *folder.glob("*.drop")):
        path.unlink()
    (folder / _LOCK).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        log.info("the folder %s is not empty and stays", folder)
