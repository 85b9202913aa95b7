"""`aiomisc.recurring`."""

from mainspring.concurrency import RecurringCallback, StrategyException, StrategySkip, StrategyStop

__all__ = ("RecurringCallback", "StrategyException", "StrategySkip", "StrategyStop")
