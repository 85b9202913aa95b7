"""One claimed run on this node: its handler's life, and the record of how it ended.

The handler runs in the execution's own task. Whoever in the engine wants it to stop sets a reason and cancels the task.
A cancellation without a reason comes from the loop that is shutting down, when all tasks are cancelled, and hands the
run back; or from somebody else, and is a failure: a run that was handed back for it would begin again for ever.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from enum import Enum
from functools import partial
from typing import Final, Literal, TypeVar

from msgspec.structs import replace

from mainspring.errors import JobTimeoutError, MainspringError
from mainspring.jobs.engine._calling import HandlerCall, Outcome
from mainspring.jobs.engine._capture import LogTail, hear
from mainspring.jobs.engine._context import JobContext
from mainspring.jobs.engine._handler import THREAD_LEFT
from mainspring.jobs.engine._option_values import LONGEST
from mainspring.jobs.engine._outcome import ErrorFacts, describe_error, encode_value, explain, sink_failures
from mainspring.jobs.engine._work import Work
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import EventKind, Finish, JobStore, Progress, RunRecord, happened
from mainspring.resilience import retry_after
from mainspring.sinks import TransactionalWrite
from mainspring.storage import reply_of
from mainspring.tools import without_secrets

log = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER: Final = 86_400.0  # seconds that the other side can put a retry off
_CANCELLED: Final = "the handler's task was cancelled, and not by the engine"
_AWAITED_CANCELLED: Final = "the handler awaited something that was cancelled"
Said = tuple[int, Progress | None]
T = TypeVar("T")


class StopReason(Enum):
    """Why a node cancels a handler."""

    CANCEL = "cancelled on request"
    LEASE_LOST = "the node's lease ended"
    LEASE_ENDING = "the node's lease could not be renewed"
    DRAIN = "the node is shutting down"

    @property
    def hands_back(self) -> bool:
        """The run still belongs to this node, which gives it to the next claim."""
        return self in (StopReason.DRAIN, StopReason.LEASE_ENDING)


class Execution:
    """One attempt of one run. `run()` does not raise what the handler raised: that is in the end.

    Args:
        is_cut_off: tells whether all tasks of the loop are cancelled, as at its end.
        on_end: called with this and its end, to be recorded; None when the run belongs to another claim. That is the
            last act of its task: a callback of the task would come a turn of the loop later, and cost that turn.
    """

    __slots__ = (
        "_cancel_grace",
        "_context",
        "_is_cut_off",
        "_on_end",
        "_phase",
        "_stop",
        "_tail",
        "_work",
        "record",
        "task",
    )

    def __init__(
        self,
        work: Work,
        record: RunRecord,
        *,
        cancel_grace: float,
        is_cut_off: Callable[[], bool],
        on_end: "Callable[[Execution, Finish | None], None]",
    ) -> None:
        self.record = record
        self.task: asyncio.Task[object] | None = None
        self._work = work
        self._is_cut_off = is_cut_off
        self._on_end = on_end
        own = work.definition.cancel_grace
        self._cancel_grace = cancel_grace if own is None else own
        self._phase: Literal["new", "handling", "recording"] = "new"
        self._stop: StopReason | None = None
        self._context: JobContext | None = None
        self._tail = LogTail()

    @property
    def said(self) -> Said:
        """What the handler has said so far: how many lines, and how far it is. Nothing before it has begun."""
        if self._context is None:
            return (self._tail.count if self._is_bare else 0), None
        return self._tail.count, self._context.last_progress

    @property
    def thread_left(self) -> "asyncio.Future[object] | None":
        """Done when the handler's thread has ended, which went on after the run had to end; None without one."""
        return None if self._context is None else self._context.thread_left

    def take(self, record: logging.LogRecord) -> None:
        """Keep what its handler logs."""
        self._tail.take(record)

    def lines(self) -> bytes | None:
        """Return the lines so far, as the store keeps them."""
        if self._context is not None and self._tail.count:
            self._conceal()  # there may be more secrets in it since
        return self._tail.encoded(self._hide)

    def secrets(self) -> Collection[str]:
        """Return what must not be shown of what its handler logs."""
        if not self._tail.conceals:  # a handler that is given nothing, or has not begun
            self._conceal()
        return self._tail.secrets()

    @property
    def name(self) -> str:
        """The name of its task."""
        return self._work.task_name

    @property
    def _is_bare(self) -> bool:
        """The handler is called without a context."""
        return self._work.wants_nothing and not self.record.config_version

    def stop(self, reason: StopReason) -> bool:
        """Ask the handler to stop; the first reason counts, and none once the handler has ended.

        Tells whether this was the first.
        """
        if self._stop is not None or self._phase == "recording":
            return False
        self._stop = reason
        if self._context is not None:
            self._context.mark_cancelled()
        if self._phase == "handling" and self.task is not None:  # a new task would end without its first line
            self.task.cancel()
            asyncio.get_running_loop().call_later(self._cancel_grace, self._say_stuck, reason.value)
        return True

    @property
    def recorder(self) -> "asyncio.Task[object] | None":
        """The task that brings its end into a store which is in trouble."""
        task = self.task
        return None if self._phase != "recording" or task is None or task.done() else task

    @property
    def store(self) -> JobStore:
        """Where its end is recorded."""
        return self._work.store

    def stored(self, seconds: float) -> None:
        """Count how long the store took for the end."""
        self._work.app.metrics.stored("finish", seconds)

    def not_stored(self) -> None:
        """Count that the store did not take the end."""
        self._work.app.metrics.store_failed("finish")

    def begin(self) -> None:
        """Run the attempt in a task of its own."""
        self.task = asyncio.get_running_loop().create_task(self.run(), name=self.name)
        self.task.add_done_callback(self._left)

    async def run(self) -> None:
        """Run the attempt, and hand its end to `on_end`."""
        self._phase = "handling"
        hear(self)  # in the context of its own task, which ends with it
        if self._stop is not None:
            self._end(self._made(self._stopped))
            return
        definition = self._work.definition
        try:
            try:
                if self._is_bare:
                    outcome: Outcome = encode_value(definition.job_id, await definition.function()), (), 0
                else:
                    outcome = await self._outcome()
            except asyncio.CancelledError as error:
                finish = self._cancelled(error)
            except (KeyboardInterrupt, GeneratorExit):  # Ctrl-C, or a task that is thrown away
                raise
            except BaseException as error:  # noqa: BLE001  # supervisor: what a handler raises ends in its record
                finish = self._raised(error)
            else:
                finish = self._succeeded(*outcome)
        except Exception as problem:  # noqa: BLE001  # supervisor: without an end the run would be RUNNING for ever
            finish = self.unmade(problem)
        self._end(finish)

    def _end(self, finish: Finish | None) -> None:
        self._phase = "recording"
        task, self.task = self.task, None  # it would be kept until the end is recorded, and its context with it
        self._on_end(self, finish)
        if task is not None:
            task.remove_done_callback(self._left)

    def _left(self, task: "asyncio.Task[object]") -> None:
        """Give up on an attempt whose task could not make its end."""
        error = None if task.cancelled() else task.exception()
        if task.cancelled() and self._phase == "new" and not self._is_cut_off():  # before its first line
            self._end(self._made(partial(self._cancelled, asyncio.CancelledError())))
        elif task.cancelled() or isinstance(error, KeyboardInterrupt):
            self._on_end(self, None)
        elif error is not None:
            log.error("run %s of %s ended by itself", self.record.run_id, self.record.job_id, exc_info=error)
            self._on_end(self, self.unmade(error))

    def _cancelled(self, error: asyncio.CancelledError) -> Finish | None:
        if self._stop is not None:
            _forget_cancellation()
            return self._stopped()
        if self._is_cut_off():
            self._hand_back()
            raise error
        if isinstance(error.__cause__, JobTimeoutError):
            return self.failed(error.__cause__)
        was_cancelled = self.task is not None and self.task.cancelling() > 0
        error.args = (_CANCELLED if was_cancelled else _AWAITED_CANCELLED,)
        if self.thread_left is not None:
            error.add_note(THREAD_LEFT)
        return self.failed(error)

    def _raised(self, error: BaseException) -> Finish | None:
        if self._stop is None:
            return self.failed(error)
        _forget_cancellation()
        return self._stopped(error)

    def _succeeded(self, value: bytes | None, writes: tuple[TransactionalWrite, ...], item_count: int) -> Finish:
        if self._stop is not None:
            _forget_cancellation()  # the handler swallowed it and came to its end: its work counts
        finish = self._finish(RunState.SUCCEEDED, value=value, writes=writes, item_count=item_count)
        return self._with_note(finish)

    def _with_note(self, finish: Finish) -> Finish:
        """Have the record of a success say what of it waits on disk."""
        session = None if self._context is None else self._context.used_session
        if session is None or not session.spooled:
            return finish
        parts = (f"{count} of sink {sink!r}" for sink, count in session.spooled.items())
        events = tuple(
            happened(EventKind.SINK_FAILED, sink=sink, spooled=count) for sink, count in session.spooled.items()
        )
        return replace(finish, error_message=f"items are spooled: {', '.join(parts)}", events=events)

    def _say_stuck(self, why: str) -> None:
        if self._phase == "handling":
            log.warning("run %s of %s does not stop: %s", self.record.run_id, self.record.job_id, why)

    async def _outcome(self) -> Outcome:
        work = self._work
        config = await work.configs.of_run(work.definition, self.record)
        self._tail.conceal(config.values, work.definition.hides)
        call = HandlerCall(
            work, self.record, config, self._tail, cancel_grace=self._cancel_grace, on_stuck=self._say_stuck
        )
        self._context = call.context
        return await call.outcome()

    def _finish(
        self,
        state: RunState,
        *,
        value: bytes | None = None,
        writes: tuple[TransactionalWrite, ...] = (),
        item_count: int = 0,
    ) -> Finish:
        record = self.record
        return Finish(
            run_id=record.run_id,
            epoch=record.epoch or 0,
            fence=record.fence,
            attempt=record.attempt,
            state=state,
            finished_at=self._work.store.now(),
            value=value,
            item_count=item_count,
            writes=writes,
            log=self.lines(),
            progress=self.said[1],
            keeps_limits=self.thread_left is not None,
            claimed=record,
        )

    def _hide(self, text: str) -> str:
        """Return a text without the secrets of the run's config, of credentials and of addresses."""
        return without_secrets(text, self.secrets())

    def _conceal(self) -> None:
        """Have the secrets of the config hidden as it stands now, beside those that were in it before."""
        definition = self._work.definition
        try:
            context = self._context
            config = self._work.configs.plain(definition, self.record) if context is None else context.config
            self._tail.conceal(config, definition.hides)
        except Exception:  # noqa: BLE001  # supervisor: this is within log calls; what was known is hidden as before
            return

    def failed(self, error: BaseException) -> Finish:
        """Return the end of a failed attempt: the next one has a time, or the run has failed for good."""
        return self._made(partial(self._failed, error))

    def _failed(self, error: BaseException) -> Finish:
        asked = "data_interval" in self._work.supplied
        explain(error, has_interval=not asked or self.record.interval_start is not None)
        finish = replace(
            self._finish(RunState.FAILED),
            **describe_error(error, self._hide),
            events=sink_failures(error),
        )
        return self._or_again(finish, error)

    def _or_again(self, finish: Finish, error: BaseException | None) -> Finish:
        """Return the end of a failed attempt, with the time of the next one if there is one."""
        retry = self._work.definition.retry
        if retry is None or self.record.attempt >= (retry.max_tries or 1):
            return finish
        pause = max(min(retry.delay(self.record.attempt), LONGEST), min(retry_after(error), _LONGEST_RETRY_AFTER))
        return replace(finish, state=RunState.RETRYING, available_at=finish.finished_at + int(pause * 1e6))

    def _made(self, make: Callable[[], T]) -> T | Finish:
        try:
            return make()
        except Exception as problem:  # noqa: BLE001  # supervisor: as in `run`
            return self.unmade(problem)

    def unmade(self, problem: BaseException) -> Finish:
        """Return the end of an attempt whose own could not be made: it has failed, and that is why.

        Nothing that may have failed is asked for again: neither lines nor progress.
        """
        try:
            facts: ErrorFacts = describe_error(problem, self._hide)
        except Exception:  # noqa: BLE001  # supervisor: an error that cannot be described has a name
            name = type(problem).__qualname__[:128]
            facts = {"error_type": name, "error_message": "it cannot be described", "error_detail": name}
        record = self.record
        finish = Finish(
            run_id=record.run_id,
            epoch=record.epoch or 0,
            fence=record.fence,
            attempt=record.attempt,
            state=RunState.FAILED,
            finished_at=self._work.store.now(),
            keeps_limits=self.thread_left is not None,
            **facts,
        )
        return self._or_again(finish, None)

    def _stopped(self, error: BaseException | None = None) -> Finish | None:
        """Return the end of an attempt that was asked to stop, and may have raised `error` on its way out."""
        thread_left = self.thread_left is not None
        if self._stop is StopReason.CANCEL:
            finish = replace(self._finish(RunState.CANCELLED), error_message=StopReason.CANCEL.value)
            if error is not None:
                finish = replace(finish, **describe_error(error, self._hide))
                message = f"{StopReason.CANCEL.value}; the handler then raised: {finish.error_message}"
                return replace(finish, error_message=message)
            return replace(finish, error_message=f"{finish.error_message}; {THREAD_LEFT}") if thread_left else finish
        if thread_left or error is not None:
            problem = THREAD_LEFT if thread_left else self._hide(repr(error))
            log.warning("run %s of %s is left to another claim: %s", self.record.run_id, self.record.job_id, problem)
        return self._handed_back() if self._stop is not None and self._stop.hands_back else None

    def _handed_back(self) -> Finish:
        return replace(self._finish(RunState.AVAILABLE), available_at=self.record.available_at)

    def _hand_back(self) -> None:
        """Give the run back without waiting: this task is being cancelled by the loop's own shutdown."""
        finish = self._handed_back()
        try:
            reply_of(self._work.store.finish(finish)).then(lambda _: None)
        except MainspringError as error:  # then the end of the node's epoch frees it
            log.warning("run %s of %s is left to another claim: %s", finish.run_id, self.record.job_id, error)


def _forget_cancellation() -> None:
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
