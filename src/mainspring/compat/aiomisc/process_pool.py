"""`aiomisc.process_pool`."""

from mainspring.concurrency import ProcessPoolExecutor
from mainspring.concurrency import WorkerPoolStatistic as ProcessPoolStatistic

__all__ = ("ProcessPoolExecutor", "ProcessPoolStatistic")
