"""Turns rows of the SQLite store into records, and records into rows."""

from collections.abc import Sequence
from typing import Any

from mainspring.base import decode_json, encode_json
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._records import (
    BackfillRow,
    BackfillState,
    JobRow,
    NewRun,
    RunKind,
    RunRecord,
)

# Any: a row holds what the columns in `_sqlite_sql` hold, in their order
Row = Sequence[Any]

KINDS = {kind.value: kind for kind in RunKind}
STATES = {state.value: state for state in RunState}

# places in LIVE_COLUMNS, and behind them where a statement asks for more
STATE, ATTEMPT, RESCUES, FENCE, EPOCH, AVAILABLE_AT, STARTED_AT = 3, 7, 8, 9, 10, 12, 16
BACKFILL, CANCEL_REQUESTED = 18, 22
ERROR = slice(23, 26)
CONFIG_VERSION = 26
LIMITS, SKIPS = 27, 29
ENDED = slice(27, 30)

NOT_CLAIMABLE, READY, TIMED = 0, 1, 2


def live_record(row: Row) -> RunRecord:
    """Return the record of a row of `run`."""
    return RunRecord(
        run_id=row[0],
        job_id=row[1],
        kind=KINDS[row[2]],
        state=STATES[row[3]],
        queue=row[4],
        priority=-row[5],
        generation=row[6],
        attempt=row[7],
        rescues=row[8],
        fence=row[9],
        epoch=row[10],
        created_at=row[11],
        available_at=row[12],
        scheduled_at=row[13],
        interval_start=row[14],
        interval_end=row[15],
        started_at=row[16],
        config=row[17],
        backfill_id=row[18],
        previous_run=row[19],
        parent_run=row[20],
        blocked_by=row[21],
        cancel_requested=bool(row[22]),
        error_type=row[23],
        error_message=row[24],
        error_detail=row[25],
        config_version=row[26],
    )


def ended_record(row: Row) -> RunRecord:
    """Return the record of a row of `history`."""
    # written out a second time: a run passes here, and `replace` or ** would cost three times as much
    return RunRecord(
        run_id=row[0],
        job_id=row[1],
        kind=KINDS[row[2]],
        state=STATES[row[3]],
        queue=row[4],
        priority=-row[5],
        generation=row[6],
        attempt=row[7],
        rescues=row[8],
        fence=row[9],
        epoch=row[10],
        created_at=row[11],
        available_at=row[12],
        scheduled_at=row[13],
        interval_start=row[14],
        interval_end=row[15],
        started_at=row[16],
        config=row[17],
        backfill_id=row[18],
        previous_run=row[19],
        parent_run=row[20],
        blocked_by=row[21],
        cancel_requested=bool(row[22]),
        error_type=row[23],
        error_message=row[24],
        error_detail=row[25],
        config_version=row[26],
        finished_at=row[27],
        value=row[28],
        item_count=row[29],
    )


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


def new_run_values(
    run: NewRun, *, now: int, place: int, generation: int, previous_run: str | None
) -> tuple[object, ...]:
    """Return the parameters of `insert_run` for a run that nobody holds yet."""
    return (
        run.run_id,
        run.job_id,
        run.kind.value,
        run.state.value,
        run.queue,
        -run.priority,
        generation,
        0,
        0,
        None,
        now,
        run.available_at,
        run.scheduled_at,
        run.interval_start,
        run.interval_end,
        None,
        run.config,
        run.backfill_id,
        previous_run,
        run.parent_run,
        run.config_version,
        run.config_as_of,
        run.occurrence,
        encode_limits(run.limits) if run.limits else None,
        run.skips,
        place,
    )


def claimed_run_values(run: NewRun, *, now: int, fence: int, epoch: int, version: int | None) -> tuple[object, ...]:
    """Return the parameters of `insert_run` for a plain call that is claimed as it is made, under this config."""
    return (
        run.run_id,
        run.job_id,
        run.kind.value,
        "running",
        run.queue,
        -run.priority,
        1,
        1,
        fence,
        epoch,
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
        version,
        None,
        run.occurrence,
        None,
        False,
        NOT_CLAIMABLE,
    )


def claimed_record(run: NewRun, *, now: int, fence: int, epoch: int, version: int | None) -> RunRecord:
    """Return the record of such a run."""
    return RunRecord(
        run_id=run.run_id,
        job_id=run.job_id,
        kind=run.kind,
        state=RunState.RUNNING,
        queue=run.queue,
        priority=run.priority,
        generation=1,
        attempt=1,
        rescues=0,
        fence=fence,
        epoch=epoch,
        created_at=now,
        available_at=run.available_at,
        scheduled_at=run.scheduled_at,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        started_at=now,
        config=run.config,
        backfill_id=run.backfill_id,
        previous_run=run.previous_run,
        parent_run=run.parent_run,
        config_version=version,
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
