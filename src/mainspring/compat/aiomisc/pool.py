"""`aiomisc.pool`. Ours may be made outside of a loop, and a failing hook never costs a slot."""

from mainspring.resilience import PoolBase

__all__ = ("PoolBase",)
