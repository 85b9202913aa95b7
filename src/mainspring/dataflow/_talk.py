"""What a worker's process says beside its messages: log records, as frames over a socket to its supervisor."""

import asyncio
import contextlib
import logging
import socket
from contextvars import copy_context
from typing import Final

from mainspring.base import Flush, FrameDecoder, Speaker, child_talk, encode_frame
from mainspring.errors import FrameTooLargeError

log = logging.getLogger(__name__)

_LAST_WORDS_SECONDS: Final = 1.0
_READ_BYTES: Final = 1 << 16


def speak(end: socket.socket, speaker: Speaker | None) -> Flush:
    """Let a speaker talk over this end, in the worker's process; return what sends what still waits."""
    if speaker is None:
        return _nothing

    def send(payload: bytes) -> None:
        with contextlib.suppress(OSError):  # the supervisor is gone; its end is noticed elsewhere
            end.sendall(b"".join(encode_frame(payload)))

    return speaker(send)


def _nothing() -> None:
    pass


class Ear:
    """Hears what one process says, in the context in which it was started. Owns its end of the line."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._context = copy_context()
        self._decoder = FrameDecoder()
        self._loop = asyncio.get_running_loop()
        self._silent: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(end.fileno(), self._on_readable)

    @property
    def descriptors(self) -> list[int]:
        """The end, while it is open."""
        return [] if self._silent.done() else [self._end.fileno()]

    async def hear_out(self) -> None:
        """Hear the last words of a process that has ended; what it started may hold the line, and is not waited for."""
        await asyncio.wait({self._silent}, timeout=_LAST_WORDS_SECONDS)
        self.close()

    def close(self) -> None:
        """Hear no more."""
        if not self._silent.done():
            self._loop.remove_reader(self._end.fileno())
            self._end.close()
            self._silent.set_result(None)

    def _on_readable(self) -> None:
        try:
            data = self._end.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        try:
            frames = self._decoder.feed(data)
        except FrameTooLargeError as error:
            log.error("what a worker's process says is heard no more: %s", error)
            self.close()
            return
        for frame in frames:
            self._context.run(child_talk.listen, bytes(frame))
