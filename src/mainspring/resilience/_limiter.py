"""What every limiter offers: the `Limiter` protocol and its counters."""

from collections.abc import Awaitable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from mainspring.base import Statistic


@dataclass(frozen=True, slots=True)
class LimiterStats:
    """A limiter at one moment.

    Args:
        limit: how many calls fit.
        used: how many of them are taken now.
        waiting_count: callers in line.
        granted_count: cost admitted since the start.
        refused_count: `try_acquire` calls that were refused.
        timeout_count: callers that gave up waiting.
    """

    limit: int
    used: int
    waiting_count: int
    granted_count: int
    refused_count: int
    timeout_count: int


class LimiterStatistic(Statistic):
    """Counters of one limiter: cost admitted, callers that had to wait, were refused, or gave up."""

    granted: int
    waited: int
    refused: int
    timeouts: int


@runtime_checkable
class Limiter(Protocol):
    """What decides whether a call may start now: waits its turn, or says how long it would take."""

    async def acquire(self, cost: int = 1, *, timeout: float | None = None) -> None:
        """Wait until `cost` calls fit, then record them; a LimitTimeoutError after `timeout` seconds."""
        ...

    def try_acquire(self, cost: int = 1) -> float | Awaitable[float | None] | None:
        """Record `cost` calls and return None, or return the seconds after which they would fit.

        A limiter that has to ask a server returns an awaitable of that.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def stats(self) -> LimiterStats:
        """Return the counters of this moment."""
        ...
