"""A clock for the conformance suite: leases run out when a test says so."""

from datetime import datetime

from mainspring.base import SystemClock


class Ahead:
    """A clock whose monotonic time a test moves ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.ahead

    def time(self) -> float:
        return SystemClock().time()

    def now(self) -> datetime:
        return SystemClock().now()
