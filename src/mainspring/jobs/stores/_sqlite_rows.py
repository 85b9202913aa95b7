"""Turns rows of the SQLite store into records, and records into rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mainspring.base import decode_json, encode_json
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, JobRow
from mainspring.jobs.stores._records import NewRun, RunKind, RunRecord

# Any: a row holds what the columns in `_sqlite_sql` hold, in their order
Row = Sequence[Any]

KINDS = {kind.value: kind for kind in RunKind}
STATES = {state.value: state for state in RunState}

# places in LIVE_COLUMNS, and behind them where a statement asks for more
RUN, JOB, KIND, STATE, RANK, ATTEMPT, RESCUES, FENCE, EPOCH, AVAILABLE_AT = 0, 1, 2, 3, 5, 7, 8, 9, 10, 12
INTERVAL_START, INTERVAL_END, STARTED_AT, BACKFILL, CANCEL_REQUESTED = 14, 15, 16, 18, 22
ERROR = slice(23, 26)
CONFIG_VERSION = 26
LIMITS, SKIPS = 27, 29

NOT_CLAIMABLE, READY, TIMED = 0, 1, 2
LIVE = "live"  # the word of `tally` for runs that have not ended


def live_record(row: Row) -> RunRecord:
    """Return the record of a row of `run`, whatever more there is behind its columns."""
    return record_of(list(row[:LIMITS]))


def ended_record(row: Row) -> RunRecord:
    """Return the record of a row of `history`."""
    return record_of(list(row))


def record_of(fields: list[Any]) -> RunRecord:
    """Return the record of columns in the order of LIVE_COLUMNS or ENDED_COLUMNS, which it changes."""
    fields[KIND] = KINDS[fields[KIND]]
    fields[STATE] = STATES[fields[STATE]]
    fields[RANK] = -fields[RANK]
    fields[CANCEL_REQUESTED] = bool(fields[CANCEL_REQUESTED])
    return RunRecord(*fields)


def job_row(row: Row) -> JobRow:
    """Return a job."""
    return JobRow(
        job_id=row[0],
        schedule=as_blob(row[1]),
        version=row[2],
        cursor=row[3],
        next_fire_at=row[4],
        paused=bool(row[5]),
        registered_at=row[6],
        override=as_blob(row[7]),
    )


def backfill_row(row: Row) -> BackfillRow:
    """Return a backfill."""
    return BackfillRow(
        backfill_id=row[0],
        job_id=row[1],
        start=row[2],
        end=row[3],
        cursor=row[4],
        order=row[5],
        reprocess=row[6],
        max_parallel=row[7],
        on_failure=row[8],
        total=row[9],
        total_exact=bool(row[10]),
        created_at=row[11],
        state=BackfillState(row[12]),
        planned=bool(row[13]),
        config=row[14],
        created_count=row[15],
        live_count=row[16],
        succeeded_count=row[17],
        failed_count=row[18],
        cancelled_count=row[19],
        finished_at=row[20],
        downstream=bool(row[21]),
        after=decode_json(row[22], tuple[str, ...]),
        config_at=row[23],
    )


def backfill_values(row: BackfillRow) -> tuple[object, ...]:
    """Return a backfill's columns, in the order of BACKFILL_COLUMNS."""
    return (
        row.backfill_id,
        row.job_id,
        row.start,
        row.end,
        row.cursor,
        row.order,
        row.reprocess,
        row.max_parallel,
        row.on_failure,
        row.total,
        row.total_exact,
        row.created_at,
        row.state.value,
        row.planned,
        row.config,
        row.created_count,
        row.live_count,
        row.succeeded_count,
        row.failed_count,
        row.cancelled_count,
        row.finished_at,
        row.downstream,
        encode_json(row.after).decode(),
        row.config_at,
    )


class Held(NamedTuple):
    """What a run that is claimed as it is made gets beside what its creator says."""

    fence: int
    epoch: int
    config_version: int | None


def is_plain(run: NewRun) -> bool:
    """Tell whether most columns of a run are empty, so that `insert_alike` can make it."""
    return (
        run.generation == 1
        and run.scheduled_at in (None, run.available_at)
        and run.config is None
        and run.config_as_of is None
        and run.interval_start is None
        and run.interval_end is None
        and run.backfill_id is None
        and run.previous_run is None
        and run.parent_run is None
        and run.kind is not RunKind.SCHEDULE
        and not run.limits
        and not run.skips
    )


def alike_values(run: NewRun, *, now: int, place: int, held: Held | None) -> tuple[object, ...]:
    """Return the parameters of `insert_alike` but the last: runs that share them are made together."""
    job, kind, queue, rank, timed = run.job_id, run.kind.value, run.queue, -run.priority, run.scheduled_at is not None
    if held is None:
        return job, kind, run.state.value, queue, rank, 0, 0, None, now, timed, None, run.config_version, place
    fence, epoch, version = held
    return job, kind, "running", queue, rank, 1, fence, epoch, now, timed, now, version, place


Fire = tuple[str, tuple[tuple[str, int], ...] | None]
"""What is a run's own among those that `insert_fires` makes together: its job and its limits."""


def is_fire(run: NewRun) -> bool:
    """Tell whether a run is what a schedule makes and nothing more, so that `insert_fires` can make it."""
    return (
        run.kind is RunKind.SCHEDULE
        and run.config is None
        and run.config_as_of is None
        and run.backfill_id is None
        and run.parent_run is None
    )


def fire_values(run: NewRun, *, now: int, place: int, generation: int) -> tuple[object, ...]:
    """Return the parameters of `insert_fires` but the last: jobs that fire together share them."""
    return (
        run.state.value,
        run.queue,
        -run.priority,
        generation,
        now,
        run.available_at,
        run.scheduled_at,
        run.interval_start,
        run.interval_end,
        run.config_version,
        run.occurrence,
        run.skips,
        place,
    )


def new_run_values(
    run: NewRun, *, now: int, place: int, generation: int, previous_run: str | None, held: Held | None
) -> tuple[object, ...]:
    """Return the parameters of `insert_run`."""
    return (
        run.run_id,
        run.job_id,
        run.kind.value,
        run.state.value if held is None else "running",
        run.queue,
        -run.priority,
        generation,
        0 if held is None else 1,
        0 if held is None else held.fence,
        None if held is None else held.epoch,
        now,
        run.available_at,
        run.scheduled_at,
        run.interval_start,
        run.interval_end,
        None if held is None else now,
        run.config,
        run.backfill_id,
        previous_run,
        run.parent_run,
        run.config_version if held is None else held.config_version,
        run.config_as_of if held is None else None,
        run.occurrence,
        encode_limits(run.limits) if run.limits else None,
        run.skips,
        place,
    )


def claimed_record(run: NewRun, *, now: int, held: Held) -> RunRecord:
    """Return the record of a plain call that is claimed as it is made."""
    return RunRecord(
        run.run_id,
        run.job_id,
        run.kind,
        RunState.RUNNING,
        run.queue,
        run.priority,
        1,  # its generation
        1,  # its attempt
        0,  # no rescue yet
        held.fence,
        held.epoch,
        now,
        run.available_at,
        run.scheduled_at,
        run.interval_start,
        run.interval_end,
        now,
        run.config,
        run.backfill_id,
        run.previous_run,
        run.parent_run,
        config_version=held.config_version,
    )


def encode_limits(limits: tuple[tuple[str, int], ...]) -> str:
    """Return the text of the `limits` column."""
    return encode_json(limits).decode()


def decode_limits(text: str | None) -> list[tuple[str, int]]:
    """Return (counter key, maximum) pairs."""
    return [] if text is None else decode_json(text, list[tuple[str, int]])


def as_blob(value: bytes | str | None) -> bytes | None:
    """Return a blob that somebody may have written as text, with SQL by hand."""
    return value.encode() if isinstance(value, str) else value


def id_list(ids: Sequence[str]) -> str:
    """Return a JSON array for `json_each`."""
    return encode_json(ids).decode()
