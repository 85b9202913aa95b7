"""Files as records: from the disk into the socket by the kernel, from the socket to the disk under another name."""

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Final

from mainspring.base import new_id, sync_path
from mainspring.errors import ConnectionClosedError, FrameTooLargeError
from mainspring.transport._link import Link
from mainspring.transport._outbox import HIGH_WATER
from mainspring.transport._records import Bytes
from mainspring.transport._stream_link import StreamLink

_PIECE_BYTES: Final = 1 << 20
_MESSAGE_BYTES: Final = 16 << 20


async def receive_file(record: AsyncIterator[tuple[int, bytes | memoryview]], path: str | PathLike[str]) -> int:
    """Write the chunks of a record to a temporary file beside `path`, then give it that name; return its size."""
    target = Path(path)
    total, first = await anext(record)
    await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{new_id()}.partial")
    file = await _open_in_thread(lambda: partial.open("xb"), undo=lambda file: _discard(file, partial))
    try:
        await asyncio.to_thread(file.write, first)
        async for _, chunk in record:
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(_finish, file, partial, target)
    except BaseException:
        _discard(file, partial)
        raise
    return total


async def _open_in_thread(open_file: Callable[[], BinaryIO], *, undo: Callable[[BinaryIO], None]) -> BinaryIO:
    """Open a file; when this is cancelled, the thread goes on, and what it opened is undone."""
    opening = asyncio.get_running_loop().run_in_executor(None, open_file)
    try:
        return await asyncio.shield(opening)  # shielded: what a thread returns to nobody would stay open
    except asyncio.CancelledError:
        opening.add_done_callback(lambda done: None if done.exception() else undo(done.result()))
        raise


def _discard(file: BinaryIO, partial: Path) -> None:
    file.close()
    with contextlib.suppress(FileNotFoundError):  # it has its name already
        partial.unlink()


def _finish(file: BinaryIO, partial: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    partial.replace(target)
    sync_path(target.parent)  # the name as well


async def send_file(link: Link, path: str | PathLike[str], prefix: Bytes) -> int:
    """Write one record, `prefix` and the file; the caller keeps other writers away."""
    file = await _open_in_thread(lambda: _open(path), undo=lambda opened: opened.close())
    try:
        size = len(prefix) + os.fstat(file.fileno()).st_size
        await link.outbox.drain()
        if not isinstance(link, StreamLink):
            return await _send_as_message(link, file, size, prefix)
        header = link.codec.header(size)
        link.outbox.flush()
        link.begin_record()
        try:
            link.outbox.write([header + bytes(prefix)])
            await _send_contents(link, file, size - len(prefix))
        except BaseException:
            link.abort(ConnectionClosedError(what="the connection", reason="a file was not sent to its end"))
            raise
        finally:
            link.end_record()
        return size
    finally:
        file.close()


def _open(path: str | PathLike[str]) -> BinaryIO:
    file = open(path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115  # the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{os.fspath(path)} is no regular file")
    return file


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would wait for its writer


async def _send_as_message(link: Link, file: BinaryIO, size: int, prefix: Bytes) -> int:
    """A WebSocket message comes whole, so a file of such a link has to fit into one."""
    if size > _MESSAGE_BYTES:
        hint = "over WebSocket a file is one message; send longer ones over TCP or a Unix socket, or in parts"
        raise FrameTooLargeError(size=size, max_bytes=_MESSAGE_BYTES, hint=hint)
    contents = bytes(prefix) + await asyncio.to_thread(file.read, _MESSAGE_BYTES)
    link.outbox.write(link.encode(contents))
    return len(contents)


async def _send_contents(link: StreamLink, file: BinaryIO, size: int) -> None:
    transport = link.transport
    sock = None if transport is None else transport.get_extra_info("socket")
    if transport is None or sock is None or transport.get_extra_info("sslcontext") is not None:
        await _send_by_reading(link, file, size)
        return
    transport.set_write_buffer_limits(0)  # `drain` waits until nothing is left of what was written before
    link.outbox.flush()
    try:
        while not transport.is_closing() and transport.get_write_buffer_size():
            await asyncio.sleep(0)
            await link.outbox.drain()
        # The transport owns its descriptor and refuses watchers on it: the kernel is watched through a second one.
        duplicate = os.dup(sock.fileno())
        try:
            await _send_by_kernel(link, duplicate, file.fileno(), size)
        finally:
            os.close(duplicate)
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits(HIGH_WATER)


async def _send_by_kernel(link: StreamLink, sock_fd: int, file_fd: int, size: int) -> None:
    loop, offset = asyncio.get_running_loop(), 0
    while offset < size:
        if link.outbox.error is not None:
            raise link.outbox.error.with_traceback(None)
        try:
            sent = os.sendfile(sock_fd, file_fd, offset, min(_PIECE_BYTES, size - offset))
        except BlockingIOError:
            await _until_writable(loop, link, sock_fd)
            continue
        except OSError as error:
            raise ConnectionClosedError(what="the connection", reason=f"the link broke ({error.strerror})") from error
        if not sent:
            raise OSError("the file became shorter while it was sent")
        offset += sent
        link.pulse.note_taken()


async def _until_writable(loop: asyncio.AbstractEventLoop, link: StreamLink, fd: int) -> None:
    """Wait until the socket takes more, or the link is gone."""
    writable: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _settle, writable)
    try:
        await asyncio.wait((writable, link.closed), return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_writer(fd)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def _send_by_reading(link: StreamLink, file: BinaryIO, size: int) -> None:
    while size:
        chunk = await asyncio.to_thread(file.read, min(_PIECE_BYTES, size))
        if not chunk:
            raise OSError("the file became shorter while it was sent")
        size -= len(chunk)
        link.outbox.write([chunk])
        await link.outbox.drain()
        link.pulse.note_taken()
