"""What a supervisor supervises: a flow, its places for workers and who sits there."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mainspring.base import Backoff
from mainspring.dataflow._control import Control, Note, NoteKind
from mainspring.dataflow._launch import Child
from mainspring.dataflow._part import Part
from mainspring.dataflow._plan import DeadLetterHook, Delivery
from mainspring.dataflow._topology import Topology

Mode: TypeAlias = Literal["process", "inline"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A topology, how to run it, and which workers of it run here."""

    title: str
    topology: Topology
    mode: Mode
    start_method: str | None
    delivery: Delivery
    restart: Backoff
    healthy_after: float
    dead_letter: DeadLetterHook | None
    part: Part


@dataclass(slots=True, eq=False)
class Seat:
    """A place for a worker, and who sits there."""

    level: int
    index: int
    child: Child | None = None
    control: Control | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    must_finish: bool = False
    has_sent: bool = False
    is_done: bool = False
    acknowledged: int = 0
    restart_count: int = 0
    reason: str = ""
    address: str = ""
    task: "asyncio.Task[None] | None" = None

    @property
    def id(self) -> str:
        """Stage and place, as "1.3"."""
        return f"{self.level}.{self.index}"


def join(sender: Seat, receiver: Seat) -> None:
    """Give two workers the two ends of a new way; nobody else keeps one."""
    if sender.control is None or receiver.control is None:
        return
    start, end = socket.socketpair()
    with contextlib.suppress(OSError):
        start.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    receiver.control.send(Note(NoteKind.INBOUND, index=sender.index), end)
    sender.control.send(Note(NoteKind.OUTBOUND, index=receiver.index), start)
