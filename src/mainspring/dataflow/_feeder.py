"""Reads a pipe for the worker that it belongs to, in the supervisor: so the worker may die and loses nothing."""

import asyncio
import contextlib
import os
import socket

from mainspring.dataflow._link import Link, connect
from mainspring.dataflow._outbound import Outbound
from mainspring.dataflow._topology import Edge
from mainspring.transport import AsyncPipe


class Feeder:
    """One pipe, and the way to its worker.

    The supervisor reads, since a worker that was killed between two reads would leave the next one in the
    middle of a message.
    """

    def __init__(self, fd: int, *, edge: Edge, redelivers: bool) -> None:
        self._pipe = AsyncPipe(read_from_fd=fd)
        self._room = asyncio.Event()
        self._blocks = edge.overflow == "block"
        self._outbound = Outbound(edge=edge, redelivers=redelivers)
        self._outbound.on_room = lambda _: self._room.set()
        self._link: Link | None = None
        self._opening: socket.socket | None = None
        self._is_finished = False

    @property
    def descriptors(self) -> list[int]:
        """What a forked worker must not keep: the pipe, its write end if that is here, and the way to the worker."""
        link_fd = None if self._link is None else self._link.fd
        opening = [] if self._opening is None else [self._opening.fileno()]
        pipe_fd = self._pipe.read_fd
        return [*opening, *([] if link_fd is None else [link_fd]), *([] if pipe_fd is None else _same_pipe(pipe_fd))]

    async def attach(self, end: socket.socket) -> None:
        """Take the way to a new worker."""
        self._opening = end
        self._link = await connect(self._outbound, end)
        self._opening = None
        if self._is_finished:  # it has nothing to wait for
            self._close_link()
        self._room.set()

    async def feed(self) -> None:
        """Forward messages until the pipe's writers are gone.

        Raises:
            ConnectionClosedError: they ended inside a message.
            FrameTooLargeError: a message is too long; nothing can be read after it.
        """
        async for payload in self._pipe:
            self._outbound.send_encoded(payload)
            while self._blocks and self._outbound.is_full:
                await self._until_room()

    async def finish(self) -> None:
        """Read no more; wait until the worker is done with everything, then it has nothing to wait for any more."""
        self._pipe.close_nowait()  # a writer hears of it now, in place of waiting for room
        while self._outbound.load:
            await self._until_room()
        self._is_finished = True
        self._close_link()

    def close(self) -> None:
        """Close the pipe and the way."""
        self._pipe.close_nowait()
        self._close_link()

    async def _until_room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()


def _same_pipe(fd: int) -> list[int]:
    """Return every descriptor of this process for the same pipe: its two ends are one file to the system.

    A copy of the write end in a worker would hide that the writers are gone.
    """
    wanted = os.fstat(fd)
    found: list[int] = []
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
            status = os.fstat(int(name))
            if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(name))
    return found
