"""`mutil.ratelimit`. Ours serves waiters first come, first served."""

from mainspring.resilience import RateLimit

__all__ = ("RateLimit",)
