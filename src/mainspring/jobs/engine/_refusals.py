"""What is left of a call that makes no run: it raises, is counted by its reason, and has a row in an open store."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal  # Any: handlers have any signature

from mainspring.errors import IdempotencyError, MainspringError, MisuseError, StorageError, UnknownJobError
from mainspring.jobs.engine._metrics import RunMetrics
from mainspring.jobs.stores import JobStore
from mainspring.resilience import timeout as time_limit
from mainspring.tools import without_secrets

if TYPE_CHECKING:
    from mainspring.jobs.engine._parts import OpenApp

Reason = Literal["unknown_job", "other_arguments", "store"]

REFUSALS: Final = (UnknownJobError, MisuseError, IdempotencyError, StorageError)
"""What a call raises that made no run, or cannot tell of it."""

MOST_WAITING: Final = 100
"""Rows that wait to be written: as many as a store keeps."""

_LONGEST_ID: Final = 200  # characters that an id may have
_LONGEST_END: Final = 5.0  # seconds for the rows that wait when the app closes


class Refusals:
    """Writes the rows of an open app, one at a time; of those that come meanwhile the newest hundred."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: deque[tuple[str, Reason, str]] = deque(maxlen=MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def put(self, job_id: str, *, reason: Reason, error: str) -> None:
        """Have a row written, soon; none once this is closed."""
        if self._is_closed:
            return
        self._waiting.append((job_id, reason, error))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write(), name="mainspring-refusals")

    async def close(self) -> None:
        """Write what waits, for a few seconds at most, and end."""
        self._is_closed = True
        tasks = () if self._task is None else (self._task,)
        with suppress(TimeoutError):
            async with time_limit(_LONGEST_END):
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._write()  # what a loop left that is shut down before the app

    async def _write(self) -> None:
        while self._waiting:
            job_id, reason, error = self._waiting.popleft()
            with suppress(MainspringError):  # the caller has its error, and waits for nothing else
                await self._store.note_refused(job_id, reason=reason, error=error)


def note_refusal(
    error: MainspringError, job: str | Callable[..., Any], metrics: RunMetrics, opened: "OpenApp | None"
) -> None:
    """Count a call that raised, and let the store of an open app keep a row of it, unless it is itself the reason.

    Args:
        job: as the caller named it.
    """
    reason = _reason_of(error)
    metrics.refused(reason)
    if opened is None or opened.loop is not asyncio.get_running_loop() or reason == "store":
        return
    asked_for = job if isinstance(job, str) else str(getattr(job, "__qualname__", repr(job)))
    opened.refusals.put(asked_for[:_LONGEST_ID], reason=reason, error=without_secrets(str(error)))


def _reason_of(error: MainspringError) -> Reason:
    if isinstance(error, StorageError):
        return "store"
    return "other_arguments" if isinstance(error, IdempotencyError) else "unknown_job"
