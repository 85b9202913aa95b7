"""`aiomisc.worker_pool`: ours, with a queue that is unbounded unless a size is given, as it was."""

from typing import Any

from mainspring.concurrency import WorkerPool as _WorkerPool
from mainspring.concurrency import WorkerPoolStatistic

__all__ = ("WorkerPool", "WorkerPoolStatistic")


class WorkerPool(_WorkerPool):
    """As `mainspring.concurrency.WorkerPool`; without a size its queue is unbounded."""

    def __init__(
        self,
        workers: int | None = None,
        max_overflow: int = 0,
        **options: Any,  # Any: those of ours
    ) -> None:
        super().__init__(workers, max_overflow, **options)
