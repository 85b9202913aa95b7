"""What the API says of runs, jobs and the rest: plain records, whose fields are the schema.

Instants are UTC with an offset, durations seconds. A page has `next`: give it as `before` (or `after`) for what
follows, None at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Self, TypeVar  # Any: configs, values and items hold any JSON

from fastapi import Query

from mainspring.base import decode_json, from_us
from mainspring.errors import MainspringError
from mainspring.jobs import (
    BackfillProgress,
    BackfillRow,
    ConfigVersion,
    EventRow,
    JobDefinition,
    JobRow,
    RunLog,
    RunRecord,
    ScheduleVersion,
    shown,
)

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=1000, description="how many at most")]
Mark = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
IdMark = Annotated[
    str | None,
    Query(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description="`next` of the page before"),
]
NumberMark = Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some of a list, and where it goes on."""

    items: Sequence[T]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job: what the code declares, and what the store knows of it. `overridden`: by a schedule that people set."""

    job_id: str
    what: str
    schedule: str | None
    timezone: str
    needs: Sequence[str]
    tags: Sequence[str]
    queue: str
    priority: int
    executor: str
    timeout: float | None
    overridden: bool
    paused: bool
    next_fire_at: datetime | None
    watermark: datetime | None
    runs: Mapping[str, int]
    place: str

    @classmethod
    def of(cls, one: JobDefinition, row: JobRow | None, counts: Mapping[str, int], watermark: datetime | None) -> Self:
        """Make it of a declaration and what the store knows."""
        return cls(
            job_id=one.job_id,
            what=one.describe(),
            schedule=None if one.schedule is None else one.schedule.describe(),
            timezone=one.timezone,
            needs=[need.job_id for need in one.needs],
            tags=list(one.tags),
            queue=one.queue,
            priority=one.priority,
            executor=one.executor_name,
            timeout=one.timeout,
            overridden=row is not None and row.override is not None,
            paused=row is not None and row.paused,
            next_fire_at=None if row is None else from_us(row.next_fire_at),
            watermark=watermark,
            runs=dict(counts),
            place=one.place,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FireView:
    """A fire time to come, in UTC and on the job's wall clock, with its interval; `clock` marks its changes."""

    fire_at: datetime
    local: str
    interval_start: datetime | None
    interval_end: datetime | None
    clock: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeView:
    """A half-open range of time."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetailView:
    """A job with its next fires, its gaps (the first hundred) and its declared config without secrets."""

    job: JobView
    config: Mapping[str, Any]
    next_fires: Sequence[FireView]
    gaps: Sequence[RangeView]
    gap_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """A schedule in force; `cursor`: what lies before it has its runs, or was skipped."""

    job_id: str
    schedule: str
    timezone: str
    version: int | None
    cursor: datetime | None
    next_fire_at: datetime | None
    overridden: bool
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleVersionView:
    """A version of a job's schedule; `origin`: code, override, reset, or sql (edited by hand)."""

    version: int
    schedule: str | None
    since: datetime | None
    created_at: datetime
    origin: str
    problem: str | None

    @classmethod
    def of(cls, one: ScheduleVersion) -> Self:
        """Make it of a version."""
        return cls(
            version=one.version,
            schedule=None if one.schedule is None else one.schedule.describe(),
            since=one.since,
            created_at=one.created_at,
            origin=one.origin,
            problem=one.problem,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigVersionView:
    """A stored version of a job's config, without secrets."""

    version: int
    values: Mapping[str, Any]
    effective_from: datetime
    created_at: datetime
    comment: str
    rollback_of: int | None
    problem: str | None

    @classmethod
    def of(cls, one: ConfigVersion, definition: JobDefinition) -> Self:
        """Make it of a version."""
        return cls(
            version=one.version,
            values=shown(one.values, definition.schema),
            effective_from=one.effective_from,
            created_at=one.created_at,
            comment=one.comment,
            rollback_of=one.rollback_of,
            problem=one.problem,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """How far a run says that it has come: `done` of `total`, if it knows that, in its own unit."""

    done: float
    total: float | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run in a list."""

    run_id: str
    job_id: str
    state: str
    kind: str
    queue: str
    priority: int
    generation: int
    attempt: int
    rescues: int
    interval_start: datetime | None
    interval_end: datetime | None
    scheduled_at: datetime | None
    created_at: datetime
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    items: int
    backfill_id: str | None
    previous_run: str | None
    parent_run: str | None
    blocked_by: str | None
    cancel_requested: bool
    config_version: int | None
    error: str | None
    progress: ProgressView | None

    @classmethod
    def of(cls, one: RunRecord) -> Self:
        """Make it of a record."""
        told = one.progress
        return cls(
            run_id=one.run_id,
            job_id=one.job_id,
            state=one.state.value,
            kind=one.kind.value,
            queue=one.queue,
            priority=one.priority,
            generation=one.generation,
            attempt=one.attempt,
            rescues=one.rescues,
            interval_start=from_us(one.interval_start),
            interval_end=from_us(one.interval_end),
            scheduled_at=from_us(one.scheduled_at),
            created_at=from_us(one.created_at),
            available_at=from_us(one.available_at),
            started_at=from_us(one.started_at),
            finished_at=from_us(one.finished_at),
            items=one.item_count,
            backfill_id=one.backfill_id,
            previous_run=one.previous_run,
            parent_run=one.parent_run,
            blocked_by=one.blocked_by,
            cancel_requested=one.cancel_requested,
            config_version=one.config_version,
            error=one.error,
            progress=None if told is None else ProgressView(done=told.done, total=told.total, at=from_us(told.at)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLineView:
    """A line that a run logged."""

    at: datetime
    level: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLogView:
    """What one attempt logged; `dropped_count` lines are lost behind the first `first_count`."""

    attempt: int
    lines: Sequence[LogLineView]
    dropped_count: int
    first_count: int

    @classmethod
    def of(cls, attempt: int, log: RunLog) -> Self:
        """Make it of a log."""
        lines = [
            LogLineView(at=from_us(one.at), level=one.level, logger=one.logger, message=one.message)
            for one in log.lines
        ]
        return cls(attempt=attempt, lines=lines, dropped_count=log.dropped_count, first_count=log.first_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """What befell a run and its record cannot say: retried, lease_lost, skipped, sink_failed, late, stranded."""

    at: datetime
    kind: str
    detail: Mapping[str, Any]

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """Make it of a row."""
        return cls(at=from_us(row.happened_at), kind=row.kind.value, detail=row.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetailView:
    """A run with its value and what its call configured (both without secrets), its traceback, events and log."""

    run: RunView
    fence: int
    epoch: int | None
    config: Mapping[str, Any] | None
    value: Any
    traceback: str | None
    events: Sequence[EventView]
    log: Sequence[AttemptLogView]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillView:
    """A backfill; `total` is an estimate unless `exact`."""

    backfill_id: str
    job_id: str
    state: str
    start: datetime
    end: datetime
    order: str
    reprocess: str
    max_parallel: int
    on_failure: str
    total: int
    exact: bool
    succeeded: int
    failed: int
    cancelled: int
    running: int
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: BackfillRow) -> Self:
        """Make it of a row."""
        progress = BackfillProgress.of(row, rate=0.0)
        return cls(
            backfill_id=row.backfill_id,
            job_id=row.job_id,
            state=row.state.value,
            start=from_us(row.start),
            end=from_us(row.end),
            order=row.order,
            reprocess=row.reprocess,
            max_parallel=row.max_parallel,
            on_failure=row.on_failure,
            total=progress.total,
            exact=progress.exact,
            succeeded=progress.succeeded,
            failed=progress.failed,
            cancelled=progress.cancelled,
            running=progress.running,
            created_at=from_us(row.created_at),
            finished_at=from_us(row.finished_at),
        )


def json_of(data: bytes | None) -> Any:
    """Return what stored JSON says; what cannot be read is said so."""
    if data is None:
        return None
    try:
        return decode_json(data)
    except MainspringError as error:
        return f"unreadable: {error}"
