"""`aiomisc.process_pool`."""

from mainspring.concurrency import ProcessPoolExecutor, ProcessPoolStatistic

__all__ = ("ProcessPoolExecutor", "ProcessPoolStatistic")
