"""What the supervisor and a worker tell each other, and how descriptors get from one to the other."""

import asyncio
import contextlib
import os
import socket
import sys
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mainspring.base import decode_json, encode_json

_SOCKET_TYPE: Final = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM
_LONGEST_NOTE: Final = 1 << 16


class NoteKind(StrEnum):
    """What a note says."""

    OUTBOUND = "outbound"
    """To a worker: here is the way to worker `index` of the next stage."""
    INBOUND = "inbound"
    """To a worker: here is the way from worker `index` of the stage before."""
    FINISH = "finish"
    """To a worker: take nothing new, finish what is here, and end."""
    HURRY = "hurry"
    """To a worker: no source sends any more, so let no sink wait for a fuller batch."""
    READY = "ready"
    """From a worker: it has started."""
    REPORT = "report"
    """From a worker: how far it is."""
    SENT = "sent"
    """From a worker: it has sent everything, and waits until that is done."""
    DONE = "done"
    """From a worker: it has finished, and ends."""
    FAILED = "failed"
    """From a worker: it cannot start or go on, and why; it ends."""


@dataclass(frozen=True, slots=True)
class Note:
    """One message between the supervisor and a worker."""

    kind: NoteKind
    index: int = 0
    text: str = ""
    acknowledged: int = 0
    counts: dict[str, float] = field(default_factory=dict[str, float])


class Control:
    """One end of the line between the supervisor and a worker. Owns its socket.

    Args:
        end: a socket of `control_pair`.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[tuple[bytes, socket.socket | None]] = deque()
        self._notes: asyncio.Queue[tuple[Note, socket.socket | None] | None] = asyncio.Queue()
        self._sent = asyncio.Event()
        self._is_open = True
        self._is_watched = False
        self._loop.add_reader(end.fileno(), self._on_readable)

    @property
    def descriptors(self) -> list[int]:
        """What only this process should hold: the socket, and what is not sent yet."""
        if not self._is_open:
            return []
        return [self._end.fileno(), *(one.fileno() for _, one in self._unsent if one is not None)]

    async def receive(self) -> tuple[Note, socket.socket | None] | None:
        """Return the next note, with the socket that came along; None when the other end is gone."""
        return await self._notes.get()

    def receive_nowait(self) -> tuple[Note, socket.socket | None] | None:
        """Return a note that is here already; None when there is none."""
        self._on_readable()
        with contextlib.suppress(asyncio.QueueEmpty):
            return self._notes.get_nowait()
        return None

    def send(self, note: Note, passed: socket.socket | None = None) -> None:
        """Send a note, and a socket that is closed here once it is on its way."""
        self._unsent.append((encode_json(note), passed))
        if not self._is_watched:
            self._flush()

    async def flush(self) -> None:
        """Wait until everything is on its way, or the other end is gone."""
        while self._unsent and self._is_open:
            self._sent.clear()
            await self._sent.wait()

    def close(self) -> None:
        """Close the line, and what was not sent."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._end.fileno())
            self._loop.remove_writer(self._end.fileno())
            self._end.close()
            self._drop_unsent()
            for _ in range(self._notes.qsize()):  # what nobody will take over
                if (one := self._notes.get_nowait()) is not None and one[1] is not None:
                    one[1].close()
            self._notes.put_nowait(None)

    def _flush(self) -> None:
        try:
            while self._unsent and self._is_open:
                data, passed = self._unsent[0]
                if passed is None:
                    self._end.send(data)
                else:
                    socket.send_fds(self._end, [data], [passed.fileno()])
                    passed.close()
                self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            if not self._is_watched:
                self._is_watched = True
                self._loop.add_writer(self._end.fileno(), self._flush)
            return
        except OSError:  # the other end is gone; its end is noticed elsewhere
            self._drop_unsent()
        self._sent.set()
        if self._is_watched and self._is_open:
            self._is_watched = False
            self._loop.remove_writer(self._end.fileno())

    def _drop_unsent(self) -> None:
        for _, passed in self._unsent:
            if passed is not None:
                passed.close()
        self._unsent.clear()
        self._sent.set()

    def _on_readable(self) -> None:
        while self._is_open:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._end, _LONGEST_NOTE, 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._loop.remove_reader(self._end.fileno())
                self._notes.put_nowait(None)
                return
            passed = [socket.socket(fileno=fd) for fd in descriptors]
            self._notes.put_nowait((decode_json(data, Note), passed[0] if passed else None))


def control_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new line, non-blocking."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, _SOCKET_TYPE)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def close_descriptors(descriptors: list[int]) -> None:
    """Close what a fork has brought along and belongs to others."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
