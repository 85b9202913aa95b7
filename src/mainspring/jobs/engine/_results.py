"""What callers get back: the outcome of a run, the state of a backfill, a planned fire."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self  # Any: a handler's value has the handler's type

from msgspec import Struct

from mainspring.base import decode_json, from_us
from mainspring.errors import RunFailedError
from mainspring.jobs.model import RunState, Schedule
from mainspring.jobs.stores import BackfillRow, BackfillState, RunRecord

_OPEN: Final = (BackfillState.RUNNING, BackfillState.PAUSED)


class RunResult(Struct, frozen=True):
    """A run as it stood when it was asked for; with `wait=False` it may not have started."""

    run_id: str
    job_id: str
    state: RunState
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    value: Any

    @classmethod
    def of(cls, record: RunRecord) -> Self:
        """Make it from the store's record."""
        return cls(
            run_id=record.run_id,
            job_id=record.job_id,
            state=record.state,
            attempt=record.attempt,
            started_at=from_us(record.started_at),
            finished_at=from_us(record.finished_at),
            error=record.error,
            value=None if record.value is None else decode_json(record.value),
        )

    def __str__(self) -> str:
        """What it came to, as people read it."""
        said = "" if self.error is None else f": {self.error}"
        return f"run {self.run_id} of {self.job_id} is {self.state}{said}"

    @property
    def ok(self) -> bool:
        """True when the run succeeded."""
        return self.state is RunState.SUCCEEDED

    def check(self) -> Self:
        """Return itself if the run succeeded.

        Raises:
            RunFailedError: it ended otherwise, or has not ended.
        """
        if not self.ok:
            raise RunFailedError(run_id=self.run_id, job_id=self.job_id, state=str(self.state), reason=self.error)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleVersion:
    """One version of a job's schedule.

    Attributes:
        schedule: None without any.
        since: where its first interval begins; None for the version with which a job without a cursor began.
        origin: "code", "override" (`set_schedule`), "reset" (`reset_schedule`) or "sql" (edited by hand).
        problem: why it cannot be used, when somebody edited it by hand.
    """

    version: int
    schedule: Schedule | None
    since: datetime | None
    created_at: datetime
    origin: Literal["code", "override", "reset", "sql"]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill is. `total` counts intervals; `exact` is False while it is an estimate."""

    backfill_id: str
    job_id: str
    state: BackfillState
    total: int
    exact: bool
    succeeded: int
    failed: int
    cancelled: int
    running: int
    rate: float  # ended runs per second since this handle first looked
    eta: float | None  # seconds to go: 0 once it is done, None while the rate is unknown

    def __str__(self) -> str:
        """What it came to, as people read it."""
        total = f"{self.total:,}" if self.exact else f"about {self.total:,}"
        others = {"failed": self.failed, "cancelled": self.cancelled, "left": self.running}
        said = "".join(f", {count:,} {name}" for name, count in others.items() if count)
        came = f"{self.succeeded:,} of {total} runs succeeded{said}" if self.total else "nothing was left to run"
        return f"backfill of {self.job_id} {self.state}: {came}"

    @property
    def ended(self) -> int:
        """Runs that have ended, however."""
        return self.succeeded + self.failed + self.cancelled

    @property
    def done(self) -> bool:
        """True when nothing of it will run any more."""
        return self.state not in _OPEN

    @classmethod
    def of(cls, row: BackfillRow, *, rate: float) -> Self:
        """Make it from the store's row."""
        total = row.created_count if row.planned else max(row.total, row.created_count)
        ended = row.succeeded_count + row.failed_count + row.cancelled_count
        eta = (total - ended) / rate if rate > 0 else None
        return cls(
            backfill_id=row.backfill_id,
            job_id=row.job_id,
            state=row.state,
            total=total,
            exact=row.planned or row.total_exact,
            succeeded=row.succeeded_count,
            failed=row.failed_count,
            cancelled=row.cancelled_count,
            running=row.live_count,
            rate=rate,
            eta=eta if row.state in _OPEN else 0.0,
        )
