"""A rolling count of outcomes in buckets of time. Pure: told the time, never asks for it."""

import math
from collections import deque
from typing import Final

BUCKET_COUNT: Final = 10


class _Bucket:
    __slots__ = ("failed", "index", "slow", "total")

    def __init__(self, index: float) -> None:
        self.index = index
        self.total = self.failed = self.slow = 0


class OutcomeWindow:
    """How many calls ended within the last `span` seconds, and how many of them failed or were slow.

    Time is cut into buckets of a tenth of the span; the window is ten of them, the current one included. So
    nothing counts that is older than the span, and everything that is not older than nine tenths of it. With an
    infinite span nothing is ever forgotten.
    """

    __slots__ = ("_buckets", "_width", "bad", "current", "end", "since")

    def __init__(self, span: float) -> None:
        self._width = span / BUCKET_COUNT
        self._buckets: deque[_Bucket] = deque()
        self.current = _Bucket(-math.inf)
        """The bucket of now, while now is before `end`; calls that went well may be counted there directly."""
        self.end = -math.inf
        self.bad = 0
        """Calls in the window that failed or were slow, as of the last `roll`."""
        self.since = math.inf
        """When the first call ended."""

    def add(self, now: float, *, failed: bool = False, slow: bool = False) -> None:
        """Count a call that ends now."""
        if now >= self.end:
            self.roll(now)
        bucket = self.current
        bucket.total += 1
        if failed or slow:
            bucket.failed += failed
            bucket.slow += slow
            self.bad += 1

    def roll(self, now: float) -> None:
        """Forget the buckets that left the window; make sure that there is one for now."""
        if now < self.end:
            return
        buckets = self._buckets
        index = now // self._width
        if self.end == -math.inf:
            self.since = now
        while buckets and buckets[0].index <= index - BUCKET_COUNT:
            buckets.popleft()
        self.current = _Bucket(index)
        buckets.append(self.current)
        self.end = (index + 1) * self._width
        # A call that was slow and failed counts once in `bad` while it is fresh, twice after; only zero matters.
        self.bad = sum(bucket.failed + bucket.slow for bucket in buckets)

    @property
    def total(self) -> int:
        """Calls in the window, as of the last `roll`."""
        return sum(bucket.total for bucket in self._buckets)

    @property
    def failed_ratio(self) -> float:
        """The share of failed calls; 0 when there was none."""
        return sum(bucket.failed for bucket in self._buckets) / (self.total or 1)

    @property
    def slow_ratio(self) -> float:
        """The share of slow calls; 0 when there was none."""
        return sum(bucket.slow for bucket in self._buckets) / (self.total or 1)
