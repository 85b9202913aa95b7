"""Resilience: when things fail or go too fast.

Time limits, retries, circuit breakers, rate limits and pools. Each works by itself; around one call they
nest, from the outside in: retry, breaker, limiter, timeout.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.base import Backoff as Backoff
    from mainspring.errors import CircuitBroken as CircuitBroken
    from mainspring.resilience._breaker import CircuitBreaker as CircuitBreaker
    from mainspring.resilience._breaker_records import CircuitBreakerStates as CircuitBreakerStates
    from mainspring.resilience._breaker_records import CircuitBreakerStatistic as CircuitBreakerStatistic
    from mainspring.resilience._breaker_records import CircuitBreakerStats as CircuitBreakerStats
    from mainspring.resilience._bulkhead import Bulkhead as Bulkhead
    from mainspring.resilience._checks import check_count as check_count
    from mainspring.resilience._checks import check_seconds as check_seconds
    from mainspring.resilience._combined_limit import CombinedLimit as CombinedLimit
    from mainspring.resilience._cutout import cutout as cutout
    from mainspring.resilience._fixed_window import FixedWindow as FixedWindow
    from mainspring.resilience._gcra import GCRA as GCRA
    from mainspring.resilience._global_limiter import GlobalAsyncLimiter as GlobalAsyncLimiter
    from mainspring.resilience._limiter import Limiter as Limiter
    from mainspring.resilience._limiter import LimiterStatistic as LimiterStatistic
    from mainspring.resilience._limiter import LimiterStats as LimiterStats
    from mainspring.resilience._pool import PoolBase as PoolBase
    from mainspring.resilience._pool_records import PoolStatistic as PoolStatistic
    from mainspring.resilience._pool_records import PoolStats as PoolStats
    from mainspring.resilience._ratelimit import RateLimit as RateLimit
    from mainspring.resilience._retry import RetryAttempt as RetryAttempt
    from mainspring.resilience._retry import retry as retry
    from mainspring.resilience._retry import retry_after as retry_after
    from mainspring.resilience._seed_backoff import BackoffRules as BackoffRules
    from mainspring.resilience._seed_backoff import BackoffStatistic as BackoffStatistic
    from mainspring.resilience._seed_backoff import RetryStatistic as RetryStatistic
    from mainspring.resilience._seed_backoff import asyncbackoff as asyncbackoff
    from mainspring.resilience._seed_backoff import asyncretry as asyncretry
    from mainspring.resilience._timeout import Timeout as Timeout
    from mainspring.resilience._timeout import deadline as deadline
    from mainspring.resilience._timeout import timeout as timeout
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "mainspring.base": ("Backoff",),
            "mainspring.errors": ("CircuitBroken",),
            "_breaker": ("CircuitBreaker",),
            "_breaker_records": ("CircuitBreakerStates", "CircuitBreakerStatistic", "CircuitBreakerStats"),
            "_bulkhead": ("Bulkhead",),
            "_combined_limit": ("CombinedLimit",),
            "_cutout": ("cutout",),
            "_fixed_window": ("FixedWindow",),
            "_gcra": ("GCRA",),
            "_global_limiter": ("GlobalAsyncLimiter",),
            "_limiter": ("Limiter", "LimiterStatistic", "LimiterStats"),
            "_pool": ("PoolBase",),
            "_pool_records": ("PoolStatistic", "PoolStats"),
            "_ratelimit": ("RateLimit",),
            "_retry": ("RetryAttempt", "retry"),
            "_seed_backoff": ("BackoffStatistic", "RetryStatistic", "asyncbackoff", "asyncretry"),
            "_timeout": ("Timeout", "deadline", "timeout"),
        },
        house={
            "_checks": ("check_count", "check_seconds"),
            "_retry": ("retry_after",),
            "_seed_backoff": ("BackoffRules",),
        },
    )
