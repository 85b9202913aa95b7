"""`aiomisc.process_pool`: ours, with a queue that is unbounded unless a size is given, as it was."""

from typing import Any

from mainspring.concurrency import ProcessPoolExecutor as _ProcessPoolExecutor
from mainspring.concurrency import ProcessPoolStatistic

__all__ = ("ProcessPoolExecutor", "ProcessPoolStatistic")


class ProcessPoolExecutor(_ProcessPoolExecutor):
    """As `mainspring.concurrency.ProcessPoolExecutor`; without a size its queue is unbounded."""

    def __init__(
        self,
        max_workers: int | None = None,
        *arguments: Any,  # Any: those of ours
        max_queue: int = 0,
        **options: Any,  # Any: those of ours
    ) -> None:
        super().__init__(max_workers, *arguments, max_queue=max_queue, **options)
