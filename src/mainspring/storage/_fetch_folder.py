"""A directory of stored answers as one loop sees it: who fetches what, and which files to keep."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

from mainspring.storage._fetch_file import SUFFIX, Answer, remove, scan, write_answer
from mainspring.storage._s4lru import SegmentedLRU
from mainspring.storage._thread_calls import in_thread

Fetched = tuple[Answer, bytes]


class Flight:
    """One fetch that any number of callers wait for; it is cancelled when the last of them is.

    It stands in `flights` as long as others may join it.
    """

    def __init__(self, fetch: Coroutine[object, object, Fetched], name: str, flights: "dict[str, Flight]") -> None:
        self._task = asyncio.get_running_loop().create_task(fetch, name=f"fetch-{name}")
        self._task.add_done_callback(self._leave)
        self._waiting = 0
        self._name = name
        self._flights = flights
        flights[name] = self

    async def wait(self) -> Fetched:
        """Wait for the answer."""
        self._waiting += 1
        try:
            # shielded: one caller's cancellation must not take the answer from the others
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._leave(self._task)  # at once: who comes now must not join a fetch that is being cancelled
                self._task.cancel()

    def _leave(self, _: "asyncio.Task[Fetched]") -> None:
        if self._flights.get(self._name) is self:
            del self._flights[self._name]


class Folder:
    """The answers in one directory; made by `folder_of`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = SegmentedLRU[str](1)
        self._flights: dict[str, Flight] = {}
        self._is_known = False
        self._look: asyncio.Task[None] | None = None

    async def know(self) -> None:
        """Look once at what lies in the directory."""
        if self._is_known:
            return
        if self._look is None:
            self._look = asyncio.get_running_loop().create_task(self._restore())
        await asyncio.shield(self._look)  # shielded: the others need it too

    def touch(self, name: str, size: int) -> None:
        """Note that an answer was used; `size` is for one that another program has stored."""
        if name.endswith(SUFFIX) and self._kept.touch_many((name,)):
            self._kept.increment(name, size)

    async def store(self, name: str, answer: Answer, body: bytes, *, max_bytes: int) -> None:
        """Write an answer; when its name says that it is bounded, remove others until all fit into `max_bytes`."""
        size = await in_thread(partial(write_answer, self.path / name, answer, body))
        if not name.endswith(SUFFIX):
            return
        self._kept.increment(name, size)
        self._kept = self._kept if self._kept.capacity == max_bytes else _resized(self._kept, max_bytes)
        if gone := self._kept.evict():
            await in_thread(partial(_remove_all, [self.path / one for one in gone]))

    async def once(self, name: str, fetch: Callable[[], Coroutine[object, object, Fetched]]) -> Fetched:
        """Return what `fetch` returns; callers that come while it runs wait for the same one."""
        flight = self._flights.get(name) or Flight(fetch(), name, self._flights)
        return await flight.wait()

    async def _restore(self) -> None:
        try:
            for name, size in await in_thread(partial(scan, self.path)):
                self._kept.restore(name, size, 0)
            self._is_known = True
        finally:
            self._look = None  # a task holds its loop, and the loop must not be held from here; or it failed


def _resized(lru: SegmentedLRU[str], capacity: int) -> SegmentedLRU[str]:
    """Return the same keys in the same levels with another capacity."""
    made = SegmentedLRU[str](capacity)
    for number, level in enumerate(lru.levels()):
        for key, size in reversed(level):
            made.restore(key, size, number)
    return made


def _remove_all(files: list[Path]) -> None:
    for file in files:
        remove(file)


_folders: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, Folder]] = WeakKeyDictionary()


def folder_of(path: Path) -> Folder:
    """Return the one object of the running loop for a directory."""
    folders = _folders.setdefault(asyncio.get_running_loop(), {})
    path = path.absolute()
    if path not in folders:
        folders[path] = Folder(path)
    return folders[path]
