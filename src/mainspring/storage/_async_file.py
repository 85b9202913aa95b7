"""Files without blocking the loop: the calls of the standard library's files, awaited.

Calls that can be answered from the buffers of `FileKernel` return at once; the others run in a thread, one at a
time for each file. A cancelled call is finished all the same, so that the position stays what it would be.
"""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, AnyStr, Generic, Literal, Self, TypeVar, overload  # Any: an executor, the file below

from mainspring.storage._compression import Compression, check_how, open_file
from mainspring.storage._file_kernel import FileKernel
from mainspring.storage._thread_calls import in_thread

T = TypeVar("T")


class AsyncFileIO(Generic[AnyStr]):
    """A file whose blocking calls run in threads; opened by `await` or `async with`, not before.

    `async for` yields lines; several tasks may iterate side by side, each line goes to one of them. Writes are
    handed to the operating system by `flush` and `close`, at the latest; what is bytes-like is copied first, and
    text that the encoding cannot say is refused by the `write` that brings it.

    Args:
        fname: its path, or a descriptor.
        mode: as of `open`.
        compression: of the whole file.
        encoding: of text; that of the system unless given.
        errors: what to do with text that cannot be read or written, as of `open`.
        newline: how ends of lines are read and written, as of `open`.
        executor: where the calls run; the loop's default executor unless given.
    """

    def __init__(
        self,
        fname: str | os.PathLike[str] | int,
        mode: str = "r",
        *,
        compression: Compression = Compression.NONE,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        executor: Any = None,
    ) -> None:
        self._fname = fname if isinstance(fname, int) else Path(fname)
        self._mode = mode
        self._newline = newline
        self._executor = executor
        self._lock = asyncio.Lock()
        self._kernel: FileKernel[AnyStr] | None = None
        self._is_given_up = False  # who wanted it opened has left
        self._open = partial(
            open_file,
            self._fname,
            mode,
            compression=compression,
            encoding=encoding,
            errors=errors,
            newline=newline,
        )

    @classmethod
    def open_fp(cls, fp: Any, *, executor: Any = None) -> Self:
        """Return the async form of a file that is open already; closing it closes that one."""
        name: Any = getattr(fp, "name", "")
        made = cls(name if isinstance(name, str | int) else str(name), getattr(fp, "mode", "r"), executor=executor)
        made._kernel = FileKernel(fp, newline=None)
        return made

    @property
    def fp(self) -> Any:
        """The file below. Do not read or write through it.

        Raises:
            RuntimeError: the file was not opened yet.
        """
        return self._opened().fp

    @property
    def mode(self) -> str:
        """The mode that was asked for."""
        return self._mode

    @property
    def name(self) -> str | int:
        """The path or descriptor that was asked for."""
        return self._fname if isinstance(self._fname, int) else str(self._fname)

    def closed(self) -> bool:
        """Tell whether the file was closed."""
        return self._opened().closed

    def fileno(self) -> int:
        """Return the descriptor."""
        return int(self.fp.fileno())

    def isatty(self) -> bool:
        """Tell whether the file is a terminal."""
        return bool(self.fp.isatty())

    async def open(self) -> None:
        """Open the file, if it is not open."""
        if self._is_given_up:
            self._is_given_up, self._kernel = False, None
        if self._kernel is None:
            await self._in_turn(self._open_once)

    async def close(self) -> None:
        """Write what is pending and close the file; may be called again."""
        await self._in_turn(self._opened().close)

    async def read(self, size: int | None = -1) -> AnyStr:
        """Return so many characters or bytes, fewer only at the end of the file; negative or None: all."""
        wanted = -1 if size is None else size
        kernel = self._opened()
        found = None if self._lock.locked() else kernel.try_read(wanted)
        return found if found is not None else await self._in_turn(partial(kernel.read, wanted))

    async def readline(self, limit: int = -1) -> AnyStr:
        """Return the next line with its end, or the first `limit` of it; empty at the end of the file."""
        kernel = self._opened()
        found = None if limit >= 0 or self._lock.locked() else kernel.try_readline()
        return found if found is not None else await self._in_turn(partial(kernel.readline, limit))

    async def readlines(self, hint: int = -1) -> list[AnyStr]:
        """Return the lines that are left, up to the one with which they hold more than `hint`."""
        return await self._in_turn(partial(self._opened().readlines, hint))

    async def write(self, data: AnyStr) -> int:
        """Write data; return its length."""
        kernel = self._opened()
        taken = None if self._lock.locked() else kernel.try_write(data)
        return taken if taken is not None else await self._in_turn(partial(kernel.write, data))

    async def writelines(self, lines: Iterable[AnyStr]) -> None:
        """Write each of the lines, which bring their own ends."""
        await self._in_turn(partial(self._opened().writelines, list(lines)))

    async def flush(self) -> None:
        """Hand everything to the operating system."""
        await self._in_turn(self._opened().flush)

    async def tell(self) -> int:
        """Return the position, for `seek`."""
        return await self._in_turn(self._opened().tell)

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        return await self._in_turn(partial(self._opened().seek, offset, whence))

    async def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file to `size` bytes, by default to the position; return the size."""
        return await self._in_turn(partial(self._opened().truncate, size))

    async def readable(self) -> bool:
        """Tell whether the file can be read."""
        return bool(self.fp.readable())

    async def writable(self) -> bool:
        """Tell whether the file can be written."""
        return bool(self.fp.writable())

    async def seekable(self) -> bool:
        """Tell whether the file has positions."""
        return bool(self.fp.seekable())

    async def __aenter__(self) -> Self:
        return await self._open_or_give_up()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._open_or_give_up().__await__()

    def __aiter__(self) -> AsyncIterator[AnyStr]:
        return self._lines()

    def __repr__(self) -> str:
        kernel = self._kernel
        state = "not open" if kernel is None else "closed" if kernel.closed else "open"
        return f"<{type(self).__name__} {str(self._fname)!r} {self._mode} {state}>"

    async def _lines(self) -> AsyncIterator[AnyStr]:
        kernel, is_busy, from_memory = self._opened(), self._lock.locked, self._opened().try_readline
        while True:
            line = None if is_busy() else from_memory()
            if line is None:
                line = await self._in_turn(kernel.readline)
            if not line:
                return
            yield line

    def _opened(self) -> FileKernel[AnyStr]:
        if self._kernel is None:
            raise RuntimeError("the file is not opened")
        return self._kernel

    async def _open_or_give_up(self) -> Self:
        try:
            await self.open()
        except asyncio.CancelledError:
            # The thread looks at the flag after it has opened the file: one of the two closes it.
            self._is_given_up = True
            if self._kernel is not None:
                self._kernel.fp.close()
            raise
        return self

    def _open_once(self) -> None:
        if self._kernel is None:
            self._kernel = FileKernel(self._open(), newline=self._newline)
            if self._is_given_up:
                self._kernel.fp.close()

    async def _in_turn(self, call: Callable[[], T]) -> T:
        """Run a call in a thread when those before it are done."""
        task = asyncio.get_running_loop().create_task(self._locked(call))
        task.add_done_callback(_look_at)
        # shielded: a call that was begun moves the position, whoever waits for it
        return await asyncio.shield(task)

    async def _locked(self, call: Callable[[], T]) -> T:
        async with self._lock:
            return await in_thread(call, executor=self._executor)


class AsyncBinaryIO(AsyncFileIO[bytes]):
    """A file of bytes."""


class AsyncTextIO(AsyncFileIO[str]):
    """A file of text."""

    @property
    def encoding(self) -> str:
        """The encoding in use."""
        return str(self.fp.encoding)

    @property
    def errors(self) -> str | None:
        """What happens to text that cannot be read or written."""
        found: str | None = self.fp.errors
        return found

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The ends of lines that were seen so far, with those that were read ahead."""
        found: str | tuple[str, ...] | None = self.fp.newlines
        return found

    @property
    def line_buffering(self) -> bool:
        """Whether the file below is flushed at the end of each line."""
        return bool(self.fp.line_buffering)

    def buffer(self) -> AsyncBinaryIO:
        """Return the bytes below the text, as a file of their own; do not mix the two."""
        return AsyncBinaryIO.open_fp(self.fp.buffer, executor=self._executor)


_Text = Literal["r", "w", "a", "x", "r+", "w+", "a+", "x+", "rt", "wt", "at", "xt", "rt+", "wt+", "at+", "xt+"]
_Binary = Literal["rb", "wb", "ab", "xb", "rb+", "wb+", "ab+", "xb+", "r+b", "w+b", "a+b", "x+b"]
_Name = str | os.PathLike[str] | int


@overload
def async_open(
    fname: _Name,
    mode: _Text = "r",
    *,
    compression: Compression = Compression.NONE,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    executor: Any = None,
) -> AsyncTextIO: ...
@overload
def async_open(
    fname: _Name, mode: _Binary, *, compression: Compression = Compression.NONE, executor: Any = None
) -> AsyncBinaryIO: ...
@overload
def async_open(
    fname: _Name,
    mode: str,
    *,
    compression: Compression = Compression.NONE,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    executor: Any = None,
) -> AsyncBinaryIO | AsyncTextIO: ...
def async_open(
    fname: _Name,
    mode: str = "r",
    *,
    compression: Compression = Compression.NONE,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    executor: Any = None,
) -> AsyncBinaryIO | AsyncTextIO:
    """Return a file that `await` or `async with` opens.

    Args:
        fname: its path, or a descriptor.
        mode: as of `open`; text or bytes.
        compression: of the whole file; then a `+` in the mode is accepted and only one direction works.
        encoding: of text; that of the system unless given.
        errors: what to do with text that cannot be read or written, as of `open`.
        newline: how ends of lines are read and written, as of `open`.
        executor: where the blocking calls run; the loop's default executor unless given.

    Raises:
        InvalidArgumentError: the mode, the compression or an option of text is none, or is for text and the file is
            of bytes.
    """
    check_how(mode, compression=compression, encoding=encoding, errors=errors, newline=newline)
    kind = AsyncBinaryIO if "b" in mode else AsyncTextIO
    return kind(
        fname, mode, compression=compression, encoding=encoding, errors=errors, newline=newline, executor=executor
    )


def _look_at(task: "asyncio.Task[Any]") -> None:
    """Look at the failure of a call whose caller has left, so that nobody is told that nobody looked."""
    if not task.cancelled():
        task.exception()
