"""Alerts that repeat: which to send, which to count."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_MOST_ALERTS: Final = 1000
"""How many different alerts are remembered; the oldest is forgotten first."""


@dataclass(slots=True)
class _Seen:
    at: float
    count: int = 0


class Repeats:
    """Remembers for `seconds` what was sent, and counts what was held back."""

    __slots__ = ("_seconds", "_seen")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: OrderedDict[object, _Seen] = OrderedDict()

    def admit(self, alert: object, now: float) -> int | None:
        """Return how often the alert was held back before it may be sent now; None when it is held back."""
        if self._seconds <= 0:
            return 0
        seen = self._seen.get(alert)
        if seen is not None and now - seen.at < self._seconds:
            seen.count += 1
            return None
        self._seen[alert] = _Seen(now)
        self._seen.move_to_end(alert)
        if len(self._seen) > _MOST_ALERTS:
            self._seen.popitem(last=False)
        return 0 if seen is None else seen.count

    def forget(self, alert: object, held_back: int) -> None:
        """Let the alert be sent again at once: this time it did not get through, nor the count that went with it."""
        seen = self._seen.get(alert)
        if seen is not None:
            seen.at = -math.inf
            seen.count += held_back
