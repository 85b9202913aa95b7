"""A session that keeps what it is asked for: what an edge's end does when the server does this or that."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any  # Any: messages of nats-py

from mainspring.errors import EdgeUnavailableError


@dataclass
class Session:
    """Stands in for a NatsSession whose server a test plays."""

    max_bytes: int = 1000
    stored: int = 0
    looks: int = 0
    unfinished: int = 0
    is_silent: bool = False
    reason: str = ""
    made_at: str = "once"
    last_number: int = 1 << 40
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    published: list[tuple[str, bytes, str]] = field(default_factory=list[tuple[str, bytes, str]])
    answers: list["asyncio.Future[Any]"] = field(default_factory=list["asyncio.Future[Any]"])
    asked: list[int] = field(default_factory=list[int])
    said: list[str] = field(default_factory=list[str])
    deliver: Callable[[Any], Awaitable[None]] | None = None
    is_open: bool = False
    has_heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        """Open, or not."""
        if self.is_silent:
            raise self.unavailable("away")
        self.is_open = True

    async def close(self) -> None:
        """Close."""
        self.is_open = False

    def fail(self, reason: str) -> None:
        """Note the first reason."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    def unavailable(self, reason: str) -> EdgeUnavailableError:
        """Return what to raise."""
        return EdgeUnavailableError(stream="s", address="nats://here", reason=reason)

    async def publish(self, subject: str, payload: bytes, message_id: str) -> "asyncio.Future[Any]":
        """Keep a message, unanswered."""
        self.published.append((subject, payload, message_id))
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def count_stored(self, subjects: str) -> dict[str, int]:
        """Say how many there are."""
        self.looks += 1
        return {subjects: self.stored} if self.stored else {}

    async def count_unfinished(self, receiver: int) -> int:
        """Say how many there are, or nothing."""
        if self.is_silent:
            raise self.unavailable("away")
        return self.unfinished

    async def renew_consumer(self, receiver: int, *, most: int) -> None:
        """Note nothing."""

    @asynccontextmanager
    async def inbox(self, deliver: Callable[[Any], Awaitable[None]]) -> AsyncGenerator[str]:
        """Let the test deliver."""
        self.deliver = deliver
        yield "inbox"

    async def ask_for(self, receiver: int, count: int, *, within: float, inbox: str) -> None:
        """Note how many."""
        self.asked.append(count)

    async def flush(self) -> None:
        """Let the test say when the server has heard."""
        await self.has_heard.wait()

    async def acknowledge(self, reply: str, *, wait: bool = False) -> None:
        """Note whose, and whether an answer was waited for."""
        self.said.append(f"{reply} and wait" if wait else reply)


def delivery(number: int, count: int) -> Any:
    """Return message `number` of the stream, as delivery `count` of its consumer."""
    sequence = SimpleNamespace(stream=number, consumer=count)
    metadata = SimpleNamespace(sequence=sequence)
    return SimpleNamespace(headers=None, data=b"%d" % number, reply=f"{number}/{count}", metadata=metadata)


def status(code: str, words: str = "") -> Any:
    """Return a message that says how a request ended."""
    return SimpleNamespace(headers={"Status": code, "Description": words}, data=b"", reply="")
