"""What befell a run and its record cannot say: one row each, kept as long as the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mainspring.base import decode_json, encode_json

EVENTS_KEPT: Final = 100
"""Of one run, the newest."""

NO_RUN: Final = ""
"""In the place of a run's id: for what befell none, as a call that was refused."""

WORDS_KEPT: Final = 500
"""Characters of an error in an event."""


class EventKind(StrEnum):
    """What a row of this kind tells."""

    RETRIED = "retried"  # an attempt failed and the next one has a time
    LEASE_LOST = "lease_lost"  # its node died or was cut off
    SKIPPED = "skipped"  # a range of fire times was passed over, its record has both ends
    SINK_FAILED = "sink_failed"  # a sink did not take items: they made the attempt fail, or wait on disk
    LATE = "late"  # it had not ended within its job's `sla`
    STRANDED = "stranded"  # no living node takes it, and somebody was told; of a job's runs the oldest
    REFUSED = "refused"  # a call made no run: a row of NO_RUN


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that befalls the run of the command that brings it; `detail` is JSON."""

    kind: EventKind
    detail: bytes = b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that befell a run; `happened_at` is an instant in microseconds."""

    happened_at: int
    kind: EventKind
    job_id: str
    run_id: str
    detail: dict[str, object]


def happened(kind: EventKind, **detail: object) -> Happened:
    """Return an event with these facts; those that are None are left out."""
    return Happened(kind, encode_json({name: value for name, value in detail.items() if value is not None}))


def refused(reason: str, error: str) -> Happened:
    """Return the event of a call that made no run."""
    return happened(EventKind.REFUSED, reason=reason, error=error[:WORDS_KEPT])


def event_row(row: Sequence[object]) -> EventRow:
    """Return the event of (happened_at, kind, job id, run id, detail)."""
    at, kind, job_id, run_id, detail = row
    return EventRow(
        happened_at=int(str(at)),
        kind=EventKind(str(kind)),
        job_id=str(job_id),
        run_id=str(run_id),
        detail=decode_json(detail, dict[str, object]) if isinstance(detail, bytes) else {},
    )
