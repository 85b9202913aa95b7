"""What a pool is made of and shows of itself: slots, numbers, counters."""

import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar  # Any: see Slot

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


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The checked bounds of a pool; what has no limit is infinite."""

    maxsize: int
    min_size: int
    recycle: float
    max_lifetime: float
    max_idle: float
    max_waiters: int
    destroy_timeout: float


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
        self.instance: Any = None  # Any: a T, or None while it is vacant; a cast for each loan would be a call
        self.lent = False
        self.vacate()

    def vacate(self) -> None:
        """Forget the instance."""
        self.instance = None
        self.expires_at = self.recycle_at = math.inf
        self.idle_since = 0.0
