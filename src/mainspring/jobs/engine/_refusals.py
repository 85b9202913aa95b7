"""What is left of a call that makes no run: it raises, is counted by its reason, and has a row in an open store."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal  # Any: handlers have any signature

from mainspring.errors import IdempotencyError, MainspringError, MisuseError, StorageError, UnknownJobError
from mainspring.jobs.engine._metrics import RunMetrics
from mainspring.storage import reply_of
from mainspring.tools import without_secrets

if TYPE_CHECKING:
    from mainspring.jobs.engine._parts import OpenApp

Reason = Literal["unknown_job", "other_arguments", "store"]

REFUSALS: Final = (UnknownJobError, MisuseError, IdempotencyError, StorageError)
"""What a call raises that made no run, or cannot tell of it."""

_LONGEST_ID: Final = 200  # characters that an id may have


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
    with suppress(MainspringError):  # the caller has its error, and waits for nothing else
        row = opened.store.note_refused(asked_for[:_LONGEST_ID], reason=reason, error=without_secrets(str(error)))
        reply_of(row).then(lambda _: None)


def _reason_of(error: MainspringError) -> Reason:
    if isinstance(error, StorageError):
        return "store"
    return "other_arguments" if isinstance(error, IdempotencyError) else "unknown_job"
