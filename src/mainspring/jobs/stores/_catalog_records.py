"""What a store knows of jobs beside their runs: cursors, backfills, what is done; units as in `_records`.

Those that `dataclasses.replace` changes are dataclasses.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from mainspring.jobs.stores._records import NewRun


class JobRow(Struct, frozen=True, kw_only=True, gc=False):
    """A job as the store knows it; `cursor` is the end of what its schedule has made runs or skips for."""

    job_id: str
    schedule: bytes | None  # JSON of Schedule.spec()
    version: int  # of the schedule, from 1
    cursor: int | None
    next_fire_at: int | None
    paused: bool = False
    registered_at: int = 0
    override: bytes | None = None  # the schedule that people put over it; `version` counts what is in force


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRegistration:
    """A job as the code declares it; `was` are its earlier ids.

    A new job starts at `cursor`, and so does one that gets its first schedule. A changed schedule becomes the next
    version and keeps the stored cursor; `next_fire_at` is then set to None until the next `Advance`.

    `limits` and `priority` become those of the job's `COUNTED` runs of occurrences, so that all of them compete under
    one number: of those that have not ended, and of those that anybody makes later. What runs goes on holding what it
    holds, and comes under them when it waits again. Without `limits` each run keeps what it was made with.
    """

    job_id: str
    schedule: bytes | None
    cursor: int | None
    next_fire_at: int | None
    was: tuple[str, ...] = ()
    limits: tuple[tuple[str, int], ...] | None = None
    priority: int = 0


class Advance(Struct, frozen=True, kw_only=True):
    """Move a schedule's cursor and create its runs in one transaction.

    Applied only if (version, cursor) are still those given; runs whose occurrence exists already are left out.
    `skipped` ranges go to the done-set, with a SKIPPED record for each part of them that was not done by then (by a
    backfill, say), 16 at most: the last one is over the rest. A version without a cursor begins at `cursor_to`.
    """

    job_id: str
    version: int
    cursor_from: int | None
    cursor_to: int | None
    next_fire_at: int | None
    runs: tuple[NewRun, ...] = ()
    skipped: tuple[tuple[int, int], ...] = ()
    why: str = ""  # they are skipped


class AdvanceAnswer(Struct, frozen=True, kw_only=True):
    """`row` is the job after (or, when it was not applied, as another node left it); None when somebody deleted it."""

    applied: bool
    row: JobRow | None
    created_count: int = 0


class BackfillState(StrEnum):
    """RUNNING makes runs until its range is used up, then waits for their ends."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # by its first failure, with on_failure="stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRow:
    """A backfill: a range of a job's intervals, a cursor that walks it, and counters that finishes raise.

    A run that several backfills came to counts for each of them. One that is cancelled or stopped leaves such
    runs, and those that a schedule came to, to the others: they count as cancelled in it.

    One with `after` waits for the end of those backfills, then runs again what needs the intervals that succeeded in
    them; it is cancelled with them. What succeeds in one with `downstream` is remembered under `ran_in(its id)`.
    """

    backfill_id: str
    job_id: str
    start: int
    end: int
    cursor: int  # all intervals before it (after it, for desc) have been handled
    order: Literal["asc", "desc"]
    reprocess: Literal["missing", "failed", "all"]
    max_parallel: int
    on_failure: Literal["continue", "stop"]
    total: int
    total_exact: bool
    created_at: int
    state: BackfillState = BackfillState.RUNNING
    planned: bool = False  # the cursor has reached the other end
    config: bytes | None = None
    config_at: Literal["now", "interval"] = "now"  # whose stored config its runs get: of their start, or interval
    created_count: int = 0  # runs made or joined
    live_count: int = 0
    succeeded_count: int = 0
    failed_count: int = 0
    cancelled_count: int = 0
    finished_at: int | None = None
    downstream: bool = False
    after: tuple[str, ...] = ()


def ran_in(backfill_id: str) -> str:
    """Return the name under which the done-sets keep what succeeded in a backfill with `downstream`."""
    return f"backfill {backfill_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillStep:
    """Move a backfill's cursor and create (or join) runs in one transaction; applied only from `cursor_from`
    and while RUNNING. With `planned` the range is used up; it is FINISHED as soon as nothing of it is live."""

    backfill_id: str
    cursor_from: int
    cursor_to: int
    runs: tuple[NewRun, ...] = ()
    planned: bool = False


class DoneRange(Struct, frozen=True, kw_only=True):
    """A half-open range of a job's done-set."""

    state: Literal["succeeded", "skipped", "failed"]
    start: int
    end: int
