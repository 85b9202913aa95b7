"""What a pool is made of and shows of itself: slots, numbers, counters."""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from mainspring.base import Statistic

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one moment: instances lent, instances idle, instances in all, callers in line."""

    maxsize: int
    size: int
    used_count: int
    idle_count: int
    waiting_count: int


class PoolStatistic(Statistic):
    """Counters of one pool: loans, instances made and destroyed, failures of the hooks, callers that gave up."""

    acquired: int
    created: int
    destroyed: int
    create_failed: int
    check_failed: int
    destroy_failed: int
    timeouts: int


class Slot(Generic[T]):
    """A place in a pool: vacant, or with an instance and the times that end its life."""

    __slots__ = ("expires_at", "idle_since", "instance", "lent", "recycle_at")

    def __init__(self) -> None:
        self.instance: T | None = None
        self.lent = False
        self.vacate()

    def vacate(self) -> None:
        """Forget the instance."""
        self.instance = None
        self.expires_at = self.recycle_at = math.inf
        self.idle_since = 0.0
