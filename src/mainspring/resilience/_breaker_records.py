"""What a circuit breaker shows of itself: its states, its shares, its counters."""

from dataclasses import dataclass
from enum import IntEnum, unique

from mainspring.base import Statistic


@unique
class CircuitBreakerStates(IntEnum):
    """What a breaker does with calls: lets them through, refuses them, or lets a growing share through."""

    PASSING = 0
    BROKEN = 1
    RECOVERING = 2


@dataclass(frozen=True, slots=True)
class CircuitBreakerStats:
    """A breaker at one moment: its state, and the calls in the window that judges it."""

    state: CircuitBreakerStates
    total_count: int
    failed_ratio: float
    slow_ratio: float


class CircuitBreakerStatistic(Statistic):
    """Counters of one breaker: all calls, those let through or refused by state, and its shares."""

    call_count: int
    call_passing: int
    call_broken: int
    call_recovering: int
    call_recovering_ok: int
    call_recovering_failed: int
    error_ratio: float
    error_ratio_threshold: float
