"""What a run writes into a file: collected in memory up to a bound, then in a part file, renamed at the end.

A target holds the rows of one run, whole, or what it held before; a run that emits nothing leaves a file without
rows. Beside a target `NAME` lie `.NAME.RUN-FENCE.part` while a run writes, and `.NAME.fence`: which claim of which
interval wrote last, so that an older claim, or another interval whose path is the same, is refused.
"""

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol  # Any: what a form makes of an item is its own affair

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import InvalidItemError
from mainspring.sinks._file_fence import move_under_fence, was_written_for
from mainspring.sinks._transaction import SinkRun

BUFFER_BYTES: Final = 256 << 10
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class FileForm(Protocol):
    """The form of one file: what becomes of items, and how they are written. One object for each file."""

    buffer_bytes: int
    """What may wait in memory, about."""

    def take(self, item: object) -> tuple[Any, int]:
        """Return what is kept of an item, and about how many bytes that takes.

        Raises:
            InvalidItemError: the item has no place in such a file.
        """
        ...

    def write(self, file: BinaryIO, values: Sequence[Any]) -> None:
        """Write what was kept of some items; blocks, and runs in a thread.

        Raises:
            InvalidItemError: they do not go with those before them.
        """
        ...

    def end(self, file: BinaryIO) -> None:
        """Write what belongs to the end of a file; blocks, and runs in a thread."""
        ...


class FileRows:
    """Collects the items of one run into a part file."""

    def __init__(self, target: Path, run: SinkRun, form: FileForm, threads: ThreadPoolExecutor) -> None:
        self.count = 0
        self._target = target
        self._run = run
        self._form = form
        self._threads = threads
        self._part = target.with_name(f".{target.name}.{file_name(run.run_id)}-{run.fence}.part")
        self._buffer: list[Any] = []
        self._size = 0
        self._file: BinaryIO | None = None
        self._error: Exception | None = None
        self._one_at_a_time = asyncio.Lock()  # chunks keep their order when several tasks of a run emit

    def take(self, item: object, key: str | None) -> bool:
        """Take one item; tell whether the buffer is full."""
        value, size = self._form.take(item)
        self._buffer.append(value)
        self._size += size
        self.count += 1
        return self._size >= self._form.buffer_bytes

    async def relieve(self) -> None:
        """Write the buffer to the part file."""
        async with self._one_at_a_time:
            chunk, self._buffer, self._size = self._buffer, [], 0
            await self._in_thread(self._write, chunk)

    async def has_earlier(self) -> bool:
        """Tell whether the target is there and was written by an earlier run of the same job and interval."""
        return await self._threads.run(was_written_for, self._target, self._run)

    async def finish(self) -> None:
        """Put the file in place.

        Raises:
            StaleFenceError: a newer claim of this interval has written already; nothing was changed.
            SinkWriteError: the file holds another interval.
            InvalidItemError: an item does not go with those before it.
            OSError: the disk refused.
        """
        async with self._one_at_a_time:
            await self._in_thread(self._commit)

    async def discard(self) -> None:
        """Remove the part file."""
        self._buffer.clear()
        async with self._one_at_a_time:
            await self._in_thread(self._remove)

    async def _in_thread(self, function: Callable[..., None], *args: object) -> None:
        """Call in a thread; a cancelled caller still waits for it, since the file is in use until it ends."""
        future = self._threads.run(function, *args)
        cancelled: BaseException | None = None
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError as error:
                cancelled = error
        failed = future.exception()
        if cancelled is not None:
            raise cancelled
        if failed is not None:
            raise failed

    def _write(self, chunk: Sequence[Any]) -> None:
        if self._error is not None:
            raise self._error  # a chunk is missing, whatever the handler caught
        try:
            self._form.write(self._opened(), chunk)
        except (OSError, InvalidItemError) as error:
            self._error = error
            raise

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")
        return self._file

    def _commit(self) -> None:
        self._write(self._buffer)
        file = self._opened()
        self._form.end(file)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        move_under_fence(self._part, self._target, self._run)

    def _remove(self) -> None:
        if self._file is None:
            return
        if not self._file.closed:
            with suppress(OSError):
                self._form.end(self._file)  # some writers would do it by themselves, and too late
            self._file.close()
        self._part.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """Return an id as part of a file name: no folder, and not hidden."""
    return _UNSAFE.sub("_", text).lstrip(".") or "_"
