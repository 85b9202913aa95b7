"""`aiomisc.recurring`."""

from mainspring.concurrency import (
    RecurringCallback,
    RecurringCallbackStatistic,
    StrategyException,
    StrategySkip,
    StrategyStop,
)

__all__ = ("RecurringCallback", "RecurringCallbackStatistic", "StrategyException", "StrategySkip", "StrategyStop")
