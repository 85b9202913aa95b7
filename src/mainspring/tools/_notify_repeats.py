"""Alerts that repeat: which to send, which to count."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_MOST_ALERTS: Final = 1000
"""How many different alerts are remembered, to however many bots they went; the oldest is forgotten first."""


@dataclass(slots=True)
class _Seen:
    at: float
    count: int = 0


class Repeats:
    """Remembers for `seconds` what was sent to each bot, and counts what was held back."""

    __slots__ = ("_alerts", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._alerts: OrderedDict[object, dict[object, _Seen]] = OrderedDict()

    def admit(self, alert: object, bot: object, now: float) -> int | None:
        """Return how often the alert was held back before the bot may get it now; None when it is held back."""
        if self._seconds <= 0:
            return 0
        bots = self._alerts.setdefault(alert, {})
        seen = bots.get(bot)
        if seen is not None and now - seen.at < self._seconds:
            seen.count += 1
            return None
        bots[bot] = _Seen(now)
        self._alerts.move_to_end(alert)
        if len(self._alerts) > _MOST_ALERTS:
            self._alerts.popitem(last=False)
        return 0 if seen is None else seen.count

    def forget(self, alert: object, bot: object, held_back: int) -> None:
        """Let the bot get the alert again at once: this time it did not, nor the count that went with it."""
        seen = self._alerts.get(alert, {}).get(bot)
        if seen is not None:
            seen.at = -math.inf
            seen.count += held_back
