"""What a service's process says to the program: that it has begun, and its log records. Frames over a socket."""

import asyncio
import signal
import socket
import threading
from contextlib import suppress
from typing import Any, Final

from mainspring.base import Flush, FrameDecoder, Speaker, child_talk, encode_frame

_STARTED: Final = b"S"
_TALK: Final = b"T"
INTERRUPTED: Final = 130  # the exit code of who was ended by SIGINT


def be_process(service: Any, arguments: dict[str, Any], data: socket.socket, speaker: Speaker | None) -> None:
    """Be the process of a service: say that it has begun, do its work, send the last log records."""
    # A program that a shell has started in the background ignores SIGINT, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lock = threading.Lock()

    def say(kind: bytes, payload: bytes = b"") -> None:
        with lock, suppress(OSError):  # nobody listens any more
            data.sendall(b"".join(encode_frame(kind, payload)))

    flush: Flush | None = None
    try:
        try:
            flush = speaker(lambda payload: say(_TALK, payload)) if speaker is not None else None
            say(_STARTED)
            service.in_process(**arguments)
        finally:
            if flush is not None:
                flush()
    except KeyboardInterrupt:  # how the program ends it, at whatever moment
        raise SystemExit(INTERRUPTED) from None


class ProcessEar(asyncio.Protocol):
    """Hears what the process says, in the program. `started` is done at its first word, `ended` at its last."""

    def __init__(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._decoder = FrameDecoder()
        self._line: socket.socket | asyncio.BaseTransport = sock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the line."""
        self._line = transport

    def hang_up(self) -> None:
        """Hear no more."""
        self._line.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        for frame in self._decoder.feed(data):
            if frame[:1] == _TALK:
                child_talk.listen(bytes(frame[1:]))
            elif not self.started.done():
                self.started.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self.hang_up()
