"""`aiomisc.worker_pool`."""

from mainspring.concurrency import WorkerPool, WorkerPoolStatistic

__all__ = ("WorkerPool", "WorkerPoolStatistic")
