"""`aiomisc.circuit_breaker`. Ours refuses an error ratio outside of (0, 1), which aiomisc let pass."""

from mainspring.resilience import (
    CircuitBreaker,
    CircuitBreakerStates,
    CircuitBreakerStatistic,
    CircuitBroken,
    cutout,
)

__all__ = ("CircuitBreaker", "CircuitBreakerStates", "CircuitBreakerStatistic", "CircuitBroken", "cutout")
