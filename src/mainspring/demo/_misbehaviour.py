"""How the demo's API misbehaves, decided from a seed: it fails, dawdles, refuses, is busy once and goes down once."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from mainspring.base import current_random

RATE: Final = 200  # requests that are answered within one second
_WINDOW: Final = 1.0
_BUSY_RATE: Final = 20  # while it is busy, so that a slow client meets its refusals too
_SECONDS_BUSY: Final = 1.0
_BUSY_AFTER: Final = (300, 1_200)  # answered requests, between which it gets busy
_SECONDS_DOWN: Final = 3.0
_DOWN_AFTER: Final = (1_500, 4_500)  # answered requests, between which it goes down
_ERROR_SHARE: Final = 0.04
_SLOW_SHARE: Final = 0.01
_SLOWEST: Final = 0.4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one request: its status, seconds to wait before the answer, seconds to stay away."""

    status: int
    delay: float = 0.0
    retry_after: float = 0.0


class Misbehaviour:
    """Decides about one request after the other. Draws from `current_random()`, so that a seed decides all.

    Attributes:
        counts: how often each status was given.
    """

    def __init__(self) -> None:
        self._random = current_random()
        self._busy_at = self._random.randint(*_BUSY_AFTER)
        self._busy_until: float | None = None
        self._down_at = self._random.randint(*_DOWN_AFTER)
        self._down_until: float | None = None
        self._answered: deque[float] = deque(maxlen=RATE)
        self.counts = {200: 0, 429: 0, 500: 0, 503: 0}

    @property
    def minimum_seconds(self) -> float:
        """What the answers so far must have taken anybody: their number over the rate, and the time busy and down."""
        busy = 0.0 if self._busy_until is None else _SECONDS_BUSY * (1 - _BUSY_RATE / RATE)
        return self._answered_count / RATE + busy + (0.0 if self._down_until is None else _SECONDS_DOWN)

    @property
    def _answered_count(self) -> int:
        return self.counts[200] + self.counts[500]

    def judge(self, now: float) -> Verdict:
        """Decide about a request that came at `now` (seconds of a monotonic clock)."""
        verdict = self._judge(now)
        self.counts[verdict.status] += 1
        return verdict

    def _judge(self, now: float) -> Verdict:
        if self._down_until is not None and now < self._down_until:
            return Verdict(503, retry_after=self._down_until - now)
        if self._busy_until is None and self._answered_count >= self._busy_at:
            self._busy_until = now + _SECONDS_BUSY
        rate = RATE if self._busy_until is None or now >= self._busy_until else _BUSY_RATE
        if len(self._answered) >= rate and now - self._answered[-rate] < _WINDOW:
            return Verdict(429, retry_after=_WINDOW - (now - self._answered[-rate]))
        self._answered.append(now)
        if self._down_until is None and self._answered_count >= self._down_at:
            self._down_until = now + _SECONDS_DOWN
            return Verdict(503, retry_after=_SECONDS_DOWN)
        if self._random.random() < _ERROR_SHARE:
            return Verdict(500)
        slow = self._random.random() < _SLOW_SHARE
        return Verdict(200, delay=self._random.uniform(0.1, _SLOWEST) if slow else 0.0)
