"""How often something happens now: counts of the last few seconds. Pure."""

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 5.0
"""What "now" is."""

_LEAST_SECONDS: Final = 0.5  # workers report as often: a rate over less would say more about them


class Meter:
    """Counts what is reported now and then.

    Args:
        began_at: seconds on the clock that `add` and `rate` are given as well.
    """

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._counts: deque[tuple[float, int]] = deque()  # at most one for each report within the window
        self._sum = 0

    def add(self, count: int, *, at: float) -> None:
        """Note that so much has happened since the last report."""
        if count:
            self._counts.append((at, count))
            self._sum += count
        self._forget(at)

    def rate(self, *, at: float) -> float:
        """Return how much happened per second, over the window or since the beginning if that is less."""
        self._forget(at)
        return self._sum / min(WINDOW_SECONDS, max(_LEAST_SECONDS, at - self._began_at))

    def _forget(self, at: float) -> None:
        while self._counts and self._counts[0][0] <= at - WINDOW_SECONDS:
            self._sum -= self._counts.popleft()[1]
