"""Brings the end of an attempt into the store: without a task as long as all goes well, for each run passes here.

Trouble is met in a task: a store that is out of reach is asked again, and what a sink's write raised makes the attempt
a failed one.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from mainspring.base import Backoff, current_clock
from mainspring.errors import LeaseLostError, MainspringError, StaleFenceError, StorageError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Finish, RunRecord
from mainspring.resilience import RetryAttempt, retry
from mainspring.storage import Reply, reply_of

if TYPE_CHECKING:
    from mainspring.jobs.engine._execution import Execution

log = logging.getLogger(__name__)

Then = Callable[["Execution", RunRecord | None], None]

_STORE_TROUBLE: Final = Backoff(0.1, maximum=5.0, jitter="full")  # as long as the app is open: a full disk gets emptied


def record_end(execution: "Execution", finish: Finish, then: Then) -> None:
    """Write the end of an attempt; `then` gets it and the record as it stands, None when another claim came first."""
    sent = current_clock().monotonic()
    try:
        reply = reply_of(execution.store.finish(finish))
    except MainspringError:  # which the task meets again
        _insist(execution, finish, then, None)
    else:
        reply.then(_answered, execution, finish, then, sent)


def _answered(execution: "Execution", finish: Finish, then: Then, sent: float, reply: Reply[RunRecord]) -> None:
    if reply.error is not None:
        _insist(execution, finish, then, reply)
        return
    execution.stored(current_clock().monotonic() - sent)
    then(execution, reply.result())


def _insist(execution: "Execution", finish: Finish, then: Then, first: Reply[RunRecord] | None) -> None:
    execution.task = asyncio.create_task(_until_recorded(execution, finish, first), name=execution.name)
    execution.task.add_done_callback(partial(_ended, execution, then))


def _ended(execution: "Execution", then: Then, task: "asyncio.Task[RunRecord | None]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        record = execution.record
        log.error("run %s of %s ended without a record", record.run_id, record.job_id, exc_info=error)
    then(execution, None if task.cancelled() or error is not None else task.result())


async def _until_recorded(execution: "Execution", finish: Finish, reply: Reply[RunRecord] | None) -> RunRecord | None:
    """Write the end until it is taken; a failed write of the sinks' rows makes it a failed attempt.

    Args:
        reply: what the first try was answered.
    """
    job_id = execution.record.job_id
    answered = [] if reply is None else [reply]

    def say(failed: RetryAttempt) -> None:
        execution.not_stored()
        log.warning("run %s of %s cannot be recorded yet: %s", finish.run_id, job_id, failed.exception)

    @retry(on=StorageError, backoff=_STORE_TROUBLE, on_retry=say)
    async def write() -> RunRecord:
        sent = current_clock().monotonic()
        record = await (answered.pop() if answered else execution.store.finish(finish))
        execution.stored(current_clock().monotonic() - sent)
        return record

    try:
        return await write()
    except (StaleFenceError, LeaseLostError) as error:
        log.warning("run %s of %s: %s", finish.run_id, job_id, error)
        return None
    except Exception as error:  # supervisor: what a sink's write raised ends in the record
        if finish.state is RunState.SUCCEEDED:
            failed = execution.failed(error)
        else:
            log.exception("run %s of %s cannot be recorded as it ended", finish.run_id, job_id)
            if finish.log is None and finish.progress is None:  # there is nothing more to leave out
                return None
            failed = execution.unmade(error)
    return await _until_recorded(execution, failed, None)
