"""Threads of handlers that go on after their runs had to end: nothing can interrupt them.

The record of such a run is final and says so. Its slot on the node, and its place in the limits of the store if it has
one, stay taken until the thread has really ended, so that nothing begins beside it that they keep apart. With the
node's epoch its places in the limits are let go as well: then the thread goes on beside what comes next, as after a
lost lease.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from mainspring.base import Backoff
from mainspring.errors import StorageError
from mainspring.jobs.engine._execution import Execution
from mainspring.jobs.stores import JobStore
from mainspring.resilience import retry
from mainspring.tools import without_secrets

log = logging.getLogger(__name__)

_STORE_TROUBLE: Final = Backoff(0.1, maximum=5.0, jitter="full")  # as long as the node is open


class LeftThreads:
    """The threads that the handlers of one node have left.

    Args:
        on_end: called when the thread of an execution has ended.
        on_free: called when runs that waited for its place in a limit may be claimed.
    """

    def __init__(self, store: JobStore, *, on_end: Callable[[Execution], None], on_free: Callable[[], None]) -> None:
        self._store = store
        self._on_end = on_end
        self._on_free = on_free
        self._left: dict[Execution, None] = {}
        self._letting_go: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._left)

    def add(self, execution: Execution, thread: "asyncio.Future[object]") -> None:
        """Watch the thread of an execution whose end is recorded."""
        self._left[execution] = None
        thread.add_done_callback(partial(self._ended, execution))

    async def close(self) -> None:
        """Watch no more, whatever the threads do; the end of the epoch lets go what they hold."""
        self._is_closed = True
        for execution in self._left:
            log.error("the thread of run %s of %s still runs; left behind", *_named(execution))
        for task in self._letting_go:
            task.cancel()
        await asyncio.gather(*self._letting_go, return_exceptions=True)

    def _ended(self, execution: Execution, thread: "asyncio.Future[object]") -> None:
        del self._left[execution]
        self._on_end(execution)
        if not self._is_closed:
            task = asyncio.create_task(self._let_go(execution), name=execution.name)
            self._letting_go.add(task)
            task.add_done_callback(self._let_gone)
        error = None if thread.cancelled() else thread.exception()
        raised = "" if error is None else f", and raised {without_secrets(repr(error), execution.secrets())}"
        log.warning("the thread of run %s of %s has ended after its run%s", *_named(execution), raised)

    async def _let_go(self, execution: Execution) -> None:
        record = execution.record

        @retry(on=StorageError, backoff=_STORE_TROUBLE)
        async def send() -> None:
            await self._store.let_go(record.run_id, fence=record.fence)

        await send()
        self._on_free()

    def _let_gone(self, task: "asyncio.Task[None]") -> None:
        self._letting_go.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a place in the limits is kept until the node ends", exc_info=error)


def _named(execution: Execution) -> tuple[str, str]:
    return execution.record.run_id, execution.record.job_id
