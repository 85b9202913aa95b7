"""The log of one process's spool, as the loop sees it: every call runs in one thread."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, ParamSpec, TypeVar

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import DecodeError
from mainspring.sinks._letters import Letter, decode_letter
from mainspring.sinks._segments import Place, SegmentLog
from mainspring.sinks._spool_folder import SpoolFolder

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

DAMAGED: Final = "its bytes are damaged"
_NONE: Final[Mapping[int, Place]] = MappingProxyType({})


class SpoolDisk:
    """What lies in the folder of this process. Calls run to their end, whoever of the callers is cancelled."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self.root = root
        self._folder = SpoolFolder(root, max_bytes=max_bytes)
        self._threads: ThreadPoolExecutor | None = None
        self.log: SegmentLog | None = None

    @property
    def places(self) -> Mapping[int, Place]:
        """All letters by number; none while it is not open."""
        return _NONE if self.log is None else self.log.places

    async def open(self) -> None:
        """Take a folder, with what the dead left in it.

        Raises:
            OSError: the root cannot be used.
        """
        self.log = await self._call(self._folder.open)

    async def close(self) -> None:
        """Let go of the folder."""
        if self.log is not None:
            self.log = None
            await self._call(self._folder.close)
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    async def keep(self, letters: Sequence[bytes]) -> list[int]:
        """Keep letters, on disk when this returns, in a folder made anew if ours was removed; return their numbers.

        Raises:
            SpoolFullError: there is no room.
            OSError: the disk refused.
        """
        return await self._call(self._folder.keep, letters)

    async def note(self, change: Callable[[SegmentLog], T]) -> T | None:
        """Do something with the log; nothing when it is not open.

        Raises:
            OSError: the disk refused.
        """
        return None if self.log is None else await self._call(change, self.log)

    async def read(self, number: int) -> Letter | None:
        """Return a letter; None when it is not there, or not to be read.

        Raises:
            OSError: its file cannot be opened.
        """
        try:
            data = await self.note(lambda kept: kept.read(number))
        except FileNotFoundError:
            await self._call(self._folder.mend)
            data = await self.note(lambda kept: kept.read(number))  # None: it is gone with its file
        try:
            return None if data is None else decode_letter(data)
        except DecodeError as error:
            log.error("spool %s: letter %d cannot be read: %s", self.root, number, error)
            return None

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, statistic_name="spool")
        return asyncio.shield(self._threads.run(function, *args, **kwargs))
