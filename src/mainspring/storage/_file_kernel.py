"""A file with large buffers of its own, so that most calls need no input or output and hence no thread.

Reads take two mebibytes at once and are answered from it; writes gather until a quarter of one is full. The `try_`
methods are answered from memory or not at all; the others may block. The position that a caller sees is kept
exact: before a write, a seek or the like, the file below is moved to it.
"""

import io
from collections.abc import Iterable
from typing import Any, AnyStr, Generic  # Any: files of several classes; what they hold is AnyStr, as their mode says

from mainspring.errors import InvalidArgumentError

READ_AHEAD = 2**21  # at 2**20 chunks of 64 KiB came at two thirds of the rate, 2**22 gained nothing more
WRITE_BEHIND = 2**18


class FileKernel(Generic[AnyStr]):
    """Buffers around an open file; not thread-safe, any thread may use it in its turn.

    Args:
        fp: a file of `open`, `gzip.open` and their like, in text or in binary mode.
        newline: what `open` was told.
        read_ahead: characters or bytes that are read at once.
        write_behind: characters or bytes that may wait to be written.
    """

    def __init__(
        self, fp: Any, *, newline: str | None = None, read_ahead: int = READ_AHEAD, write_behind: int = WRITE_BEHIND
    ) -> None:
        self._pending: list[Any] = []
        self.fp = fp
        self._read_ahead = read_ahead
        self._write_behind = write_behind
        self._is_text = isinstance(fp, io.TextIOBase)
        self._is_write_only = not fp.readable()
        self._empty: Any = "" if self._is_text else b""
        self._end: Any = (newline or "\n") if self._is_text else b"\n"
        self._mixed_ends = self._is_text and newline == ""
        self._long_ends = self._is_text and newline in ("", "\r\n")
        self._data: Any = self._empty
        self._at = 0
        self._start: int | None = None  # the position of the first of _data in a text file
        self._pending_size = 0

    def __del__(self) -> None:
        if self._pending and not self.fp.closed:  # as a file of the standard library does
            self._write_pending()

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return bool(self.fp.closed)

    def try_read(self, size: int) -> AnyStr | None:
        """Return what `read` would, or None when that needs the file."""
        end = self._at + size
        if size < 0 or end > len(self._data) or self.fp.closed:
            return None
        data: AnyStr = self._data[self._at : end]
        self._at = end
        return data

    def read(self, size: int = -1) -> AnyStr:
        """Return so many characters or bytes, fewer only at the end of the file; negative: all."""
        self._check_readable()
        parts = [self._take(len(self._data) if size < 0 else size)]
        if size < 0:
            self._write_pending()
            parts.append(self.fp.read())
            return self._joined(parts)
        missing = size - len(parts[0])
        while missing > 0 and self._fill():
            parts.append(self._take(missing))
            missing -= len(parts[-1])
        return self._joined(parts)

    def try_readline(self) -> AnyStr | None:
        """Return what `readline` would, or None when that needs the file."""
        end = self._line_end(self._at)
        if end < 0 or self.fp.closed:
            return None
        line: AnyStr = self._data[self._at : end]
        self._at = end
        return line

    def readline(self, limit: int = -1) -> AnyStr:
        """Return the next line with its end, or the first `limit` of it; empty at the end of the file."""
        self._check_readable()
        parts: list[AnyStr] = []
        size = 0
        while True:
            end = self._line_end(self._at)
            if end < 0 and self._long_ends and self._grow_over_return():
                continue
            wanted = len(self._data) - self._at if end < 0 else end - self._at
            parts.append(self._take(wanted if limit < 0 else min(wanted, limit - size)))
            size += len(parts[-1])
            if end >= 0 or size == limit or not self._fill():
                return self._joined(parts)

    def readlines(self, hint: int = -1) -> list[AnyStr]:
        """Return the lines that are left, up to the one with which they hold more than `hint`."""
        lines: list[AnyStr] = []
        size = 0
        while line := self.readline():
            lines.append(line)
            size += len(line)
            if 0 < hint < size:
                break
        return lines

    def try_write(self, data: AnyStr) -> int | None:
        """Take data to be written later, or return None when the file is needed now."""
        if self._at < len(self._data) or self.fp.closed:
            return None
        if not self._pending and not self._is_write_only:
            return None  # the first one goes through `write`, which moves the file to the position
        data = self._fitting(data)
        if self._pending_size + len(data) > self._write_behind:
            return None
        self._pending.append(data)
        self._pending_size += len(data)
        return len(data)

    def write(self, data: AnyStr) -> int:
        """Take data to be written, at the latest when the file is flushed or closed; return its length."""
        self._check_open()
        if not self.fp.writable():
            raise io.UnsupportedOperation("not writable")
        data = self._fitting(data)
        if not self._pending:
            self._settle()
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size > self._write_behind:
            self._write_pending()
        return len(data)

    def writelines(self, lines: Iterable[AnyStr]) -> None:
        """Write each of the lines, which bring their own ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._check_open()
        self._write_pending()
        self.fp.flush()

    def tell(self) -> int:
        """Return the position, for `seek`."""
        self._check_open()
        self._write_pending()
        if self._at == len(self._data):
            return int(self.fp.tell())
        if not self._is_text:
            return int(self.fp.tell()) - (len(self._data) - self._at)
        # only the text layer knows which byte a character begins at: read up to it once more
        self.fp.seek(self._start)
        self.fp.read(self._at)
        self._forget()
        return int(self.fp.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        self._check_open()
        self._write_pending()
        if whence == io.SEEK_CUR:
            if self._is_text and offset:
                raise io.UnsupportedOperation("can't do nonzero cur-relative seeks")
            offset, whence = self.tell() + offset, io.SEEK_SET
        position = int(self.fp.seek(offset, whence))
        self._forget()
        return position

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file to `size` bytes, by default to the position; return the size."""
        self._check_open()
        if not self.fp.writable():
            raise io.UnsupportedOperation("not writable")
        self._settle()
        self.fp.flush()
        return int(self.fp.truncate(self.fp.tell() if size is None else size))

    def close(self) -> None:
        """Write what is pending and close the file, also when that fails; may be called again."""
        if self.fp.closed:
            return
        try:
            self._write_pending()
        finally:
            self._forget()
            self._pending.clear()
            self.fp.close()

    def _check_open(self) -> None:
        if self.fp.closed:
            raise ValueError("I/O operation on closed file.")

    def _check_readable(self) -> None:
        self._check_open()
        if not self.fp.readable():
            raise io.UnsupportedOperation("not readable")

    def _take(self, size: int) -> AnyStr:
        data: AnyStr = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def _joined(self, parts: list[AnyStr]) -> AnyStr:
        joined: AnyStr = self._empty.join(parts)
        return joined

    def _fill(self) -> bool:
        """Read ahead when all data was taken; tell whether there is more."""
        self._write_pending()
        self._data, self._at, self._start = self._empty, 0, None
        if self._is_text and self.fp.seekable():
            self._start = self.fp.tell()
            self._data = self.fp.read(self._read_ahead)
        elif self._is_text:
            self._data = self.fp.readline()  # a pipe: whoever waits for a line must not wait for mebibytes
        elif self.fp.seekable():
            self._data = self.fp.read(self._read_ahead)
        else:
            self._data = self.fp.read1(self._read_ahead)
        return bool(self._data)

    def _line_end(self, start: int) -> int:
        """Return where the line that starts there ends, -1 when that is not in memory."""
        if not self._mixed_ends:
            found = int(self._data.find(self._end, start))
            return found + len(self._end) if found >= 0 else -1
        data: str = self._data
        found = min((place for end in "\r\n" if (place := data.find(end, start)) >= 0), default=-1)
        if found < 0 or (data[found] == "\r" and found + 1 == len(data)):
            return -1  # what follows a carriage return is not known yet
        return found + (2 if data[found : found + 2] == "\r\n" else 1)

    def _grow_over_return(self) -> bool:
        """Read one character more when the data ends with a carriage return; tell whether there was one."""
        if self._at == len(self._data) or self._data[-1:] != "\r":
            return False
        more = self.fp.read(1)
        self._data += more
        return bool(more)

    def _fitting(self, data: Any) -> Any:
        """Return data that can wait to be written: a copy of what can be changed meanwhile, like a bytearray.

        What cannot be written is told now, lest it take what waits beside it along.
        """
        if self._is_text and isinstance(data, str):
            if not data.isascii():
                data.encode(self.fp.encoding or "utf-8", self.fp.errors or "strict")
            return data
        try:
            if not self._is_text:
                return data if type(data) is bytes else bytes(memoryview(data))
        except TypeError:
            pass  # it is nothing like bytes
        expected = "a str" if self._is_text else "bytes"
        raise InvalidArgumentError(argument="data", value=type(data).__name__, expected=expected)

    def _settle(self) -> None:
        """Move the file below to the position that the caller sees."""
        self._write_pending()
        if self.fp.seekable() and self.fp.readable():
            position = self.tell()
            self._forget()
            self.fp.seek(position)

    def _write_pending(self) -> None:
        if self._pending:
            data = self._joined(self._pending)
            self._pending.clear()
            self._pending_size = 0
            self.fp.write(data)

    def _forget(self) -> None:
        self._data, self._at, self._start = self._empty, 0, None
