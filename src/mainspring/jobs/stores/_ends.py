"""Where a run goes when an attempt ends, its node dies or somebody cancels it: the same in every store.

`run` is whatever a store holds of a live run; it is carried along, never looked into.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from mainspring.base import from_us
from mainspring.errors import StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, ran_in
from mainspring.jobs.stores._events import WORDS_KEPT, EventKind, Happened, happened
from mainspring.jobs.stores._records import Finish, RunRecord

R = TypeVar("R")

REMEMBERED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.SKIPPED})
CLAIMABLE = frozenset({RunState.AVAILABLE, RunState.SCHEDULED, RunState.RETRYING})
OPEN_BACKFILL = frozenset({BackfillState.RUNNING, BackfillState.PAUSED})
ON_REQUEST = "cancelled on request"
LOGS_KEPT = 10  # attempts of one run whose lines are kept, the latest

Trouble = tuple[str | None, str | None, str | None]
"""An error's type, message and traceback."""


class Change(Struct, Generic[R], frozen=True, kw_only=True):
    """Where a live run goes; `attempt` and `rescues` are those it has then."""

    run: R
    state: RunState
    attempt: int
    rescues: int
    finished_at: int
    available_at: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_detail: str | None = None
    value: bytes | None = None
    item_count: int = 0
    events: tuple[Happened, ...] = ()
    keeps_limits: bool = False

    @property
    def says_nothing(self) -> bool:
        """The record has neither an error nor a value nor a count of items."""
        no_error = self.error_type is None and self.error_message is None and self.error_detail is None
        return no_error and self.value is None and not self.item_count


def finished(run: R, command: Finish, *, attempt: int, rescues: int, cancel_requested: bool) -> Change[R]:
    """Return where the end of its attempt takes a run; a cancel wins over another attempt."""
    state, message = command.state, command.error_message
    if cancel_requested and not state.terminal:
        state = RunState.CANCELLED
        message = ON_REQUEST if message is None else f"{ON_REQUEST}; its attempt failed: {message}"
    events = command.events
    if state is RunState.RETRYING and command.available_at is not None:
        events = (*events, _retried(command, command.available_at))
    return Change(
        run=run,
        state=state,
        attempt=attempt - (state is RunState.AVAILABLE),  # handed back unharmed: not counted
        rescues=rescues,
        finished_at=command.finished_at,
        available_at=None if state.terminal else command.available_at,
        error_type=command.error_type,
        error_message=message,
        error_detail=command.error_detail,
        value=command.value,
        item_count=command.item_count,
        events=events,
        keeps_limits=command.keeps_limits,
    )


def _retried(command: Finish, available_at: int) -> Happened:
    said = ": ".join(part for part in (command.error_type, command.error_message) if part)
    return happened(
        EventKind.RETRIED, attempt=command.attempt, error=said[:WORDS_KEPT] or None, again_at=from_us(available_at)
    )


def rescued(
    run: R,
    *,
    attempt: int,
    rescues: int,
    epoch: int | None,
    cancel_requested: bool,
    trouble: Trouble,
    max_rescues: int | None,
    now: int,
) -> Change[R]:
    """Return where an orphan goes; with no maximum its node left in good order and the rescue is not counted."""
    rescues += max_rescues is not None
    state = RunState.AVAILABLE
    kind, message, detail = trouble
    if cancel_requested:
        state, message = RunState.CANCELLED, ON_REQUEST
    elif max_rescues is not None and rescues >= max_rescues:
        state = RunState.FAILED
        kind, message, detail = "NodeDied", f"its node died {rescues} times", None
    return Change(
        run=run,
        state=state,
        attempt=attempt - 1,
        rescues=rescues,
        finished_at=now,
        error_type=kind,
        error_message=message,
        error_detail=detail,
        events=() if max_rescues is None else (happened(EventKind.LEASE_LOST, epoch=epoch, rescues=rescues),),
    )


def cancelled(run: R, *, attempt: int, rescues: int, now: int, why: str = ON_REQUEST) -> Change[R]:
    """Return the change that cancels a run that nobody holds."""
    return Change(
        run=run, state=RunState.CANCELLED, attempt=attempt, rescues=rescues, finished_at=now, error_message=why
    )


def skipped(run: R, *, limits: Sequence[tuple[str, int]], key: str, rescues: int, now: int) -> Change[R]:
    """Return the change that skips a run which found the limit of `key` reached."""
    most = dict(limits)[key]
    taken = "the only slot" if most == 1 else f"all {most} slots"
    return Change(
        run=run,
        state=RunState.SKIPPED,
        attempt=0,
        rescues=rescues,
        finished_at=now,
        error_message=f"skipped: {taken} of {key} {'was' if most == 1 else 'were'} taken",
    )


def finished_again(command: Finish, live: RunRecord | None, ended: RunRecord | None) -> RunRecord | StaleFenceError:
    """Tell a finish that came before from one that another claim or a rescue overtook."""
    mine = (command.epoch, command.fence)
    if live is not None and (live.epoch, live.fence) == mine and live.state is command.state:
        return live
    if ended is not None and (ended.epoch, ended.fence) == mine:
        return ended
    return StaleFenceError(run_id=command.run_id, fence=command.fence)


def ran_marks(backfill_id: str, ends: Iterable[tuple[RunState, RunRecord]]) -> list[tuple[str, int, int, str]]:
    """Return the marks of a done-set that keep which intervals succeeded in a backfill."""
    return [
        (ran_in(backfill_id), record.interval_start, record.interval_end, state.value)
        for state, record in ends
        if state is RunState.SUCCEEDED and record.interval_start is not None and record.interval_end is not None
    ]


def end_of_backfill(row: BackfillRow) -> BackfillState | None:
    """Return the state in which a backfill ends now: at its failure, or when nothing of it is left."""
    if row.state not in OPEN_BACKFILL:
        return None
    if row.on_failure == "stop" and row.failed_count:
        return BackfillState.STOPPED
    return BackfillState.FINISHED if row.planned and row.live_count <= 0 else None
