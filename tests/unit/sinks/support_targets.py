"""Sinks that can be held up and made to fail, and terms that do not wait."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mainspring.base import Backoff
from mainspring.sinks import Delivery, ResultSink, WriteIntent

AT_ONCE = Backoff.constant(0.0, max_tries=2)


def spooling(**terms: Any) -> Delivery:
    """Return terms that spool after two attempts and try again at once."""
    at_once = Delivery(retry=AT_ONCE, spool_retry=Backoff.constant(0.0), on_failure="spool")
    return replace(at_once, **terms)


@dataclass
class Trade:
    symbol: str
    price: float


class Target(ResultSink):
    """Remembers what it was given, by key and payload; refuses while told to, and certain payloads always."""

    def __init__(self, *, down: bool = False, poison: Sequence[object] = ()) -> None:
        self.down = down
        self.poison = list(poison)
        self.gate = asyncio.Event()
        self.gate.set()
        self.tried = asyncio.Event()
        self.changed = asyncio.Event()
        self.attempts = 0
        self.intents: list[WriteIntent] = []

    @property
    def got(self) -> list[object]:
        return [intent.payload for intent in self.intents]

    async def write_batch(self, intents: Sequence[WriteIntent]) -> None:
        self.attempts += 1
        self.tried.set()
        await self.gate.wait()
        if self.down or any(intent.payload in self.poison for intent in intents):
            raise OSError("refused")
        self.intents += intents
        self.changed.set()

    async def until(self, count: int) -> None:
        """Wait until so many items have arrived."""
        while len(self.intents) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 30)
