"""How jobs are steered from outside of the code, as stores keep it; units as in `_records`."""

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from mainspring.jobs.model import RunState

Origin = Literal["code", "override", "reset", "sql"]
"""Who made a version of a schedule: the code, `set_schedule`, its undoing, or an edit by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRow:
    """One version of a job's config. Whoever adds one gives it the next number of the job's history."""

    job_id: str
    version: int
    value: bytes
    effective_from: int
    created_at: int
    comment: str = ""
    rollback_of: int | None = None


class SetSchedule(Struct, frozen=True, kw_only=True):
    """Put a schedule over that of the code, or with None take it away.

    A job keeps its cursor, so that the first interval of the new schedule begins where the old one ended; one
    without a cursor begins at `cursor`.
    """

    job_id: str
    override: bytes | None
    cursor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """One version of a job's schedule; `since` is the cursor at which it began, if there was one."""

    job_id: str
    version: int
    schedule: bytes | None
    since: int | None
    created_at: int
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Look at up to `limit` ended runs of a job and state, the oldest first, and remove those that no key names.

    Those may go that ended before `ended_before`, but for the newest so many that `count` are left. A run stays beside
    these as long as an idempotency key names it: a second call with the key gets its result.

    Attributes:
        after: only runs whose ids come after this one: those before it were looked at.
    """

    job_id: str
    state: RunState
    ended_before: int
    count: int = 0
    limit: int
    after: str = ""


class Pruned(Struct, frozen=True, kw_only=True):
    """What a `Prune` came to: how many runs are gone and how many a key has spared.

    Attributes:
        last: the last run that was looked at, if there may be more behind it.
    """

    gone: int
    spared: int
    last: str | None


class TakeLease(Struct, frozen=True, kw_only=True):
    """Take a lease by its name for the node of `epoch`; `holder` is an id of who wants it, made for this once."""

    lease: str
    holder: str
    epoch: int


class LeaseRow(Struct, frozen=True, kw_only=True):
    """A lease that a living node holds; `fence` is larger than that of every holder before, and of every claim."""

    lease: str
    holder: str
    epoch: int
    node: str  # the name of that node
    fence: int
    taken_at: int
