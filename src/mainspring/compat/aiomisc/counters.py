"""`aiomisc.counters`."""

from mainspring.base import Statistic, StatisticResult, get_statistics

__all__ = ("Statistic", "StatisticResult", "get_statistics")
