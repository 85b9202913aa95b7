"""`mutil.bgwork`: a pool of processes that are fed with tuples of arguments and give nothing back."""

import logging
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from mainspring.concurrency import ProcessPoolExecutor

__all__ = ("BackgroundProcessPool",)

log = logging.getLogger(__name__)


class BackgroundProcessPool:
    """A context manager that gives `submit`; `submit((1, 2))` calls `target(1, 2)` in a process.

    Errors are logged. The end of the block waits for all calls. A process that dies is replaced.

    Args:
        target: what to call; None makes `submit` do nothing.
        cpu_multiple: processes per processor.
        max_workers: processes at most.
    """

    def __init__(
        self, target: Callable[..., object] | None, cpu_multiple: float = 1.0, max_workers: int | None = None
    ) -> None:
        wanted = max(1, int((os.cpu_count() or 1) * cpu_multiple))
        self._target = target
        self._pool = ProcessPoolExecutor(wanted if max_workers is None else min(wanted, max_workers), max_queue=0)

    def __enter__(self) -> Callable[[Any], None]:
        return self._submit

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def _submit(self, arguments: Any) -> None:
        if self._target is not None:
            call = self._pool.submit(self._target, *arguments)
            call.add_done_callback(lambda done: _log_error(done.exception()) if not done.cancelled() else None)


def _log_error(error: BaseException | None) -> None:
    if error is not None:
        log.error("a background call failed", exc_info=error)
