"""Events of runs in memory."""

from collections.abc import Iterable, Sequence

from mainspring.jobs.stores._events import EVENTS_KEPT, EventKind, EventRow, Happened, event_row
from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._records import RunKind, RunRecord

_AT_ONCE = 1000


def keep_events(data: MemoryData, events: Iterable[tuple[int, str, str, Happened]]) -> None:
    """Keep (instant, job id, run id, event)."""
    for at, job_id, run_id, event in events:
        row = event_row((at, event.kind.value, job_id, run_id, event.detail))
        data.events[run_id] = [*data.events.get(run_id, ()), row][-EVENTS_KEPT:]


def note_late(data: MemoryData, job_id: str, scheduled_before: int, ended: Sequence[str], now: int) -> list[RunRecord]:
    """Note which runs of a job are late, those that were not noted before; return them."""
    live = [run.record for run in data.live.values() if run.record.job_id == job_id]
    late = [
        record for record in live if record.kind is RunKind.SCHEDULE and (record.scheduled_at or 0) <= scheduled_before
    ][:_AT_ONCE]
    late += [data.ended[run_id] for run_id in ended if run_id in data.ended]
    new = [record for record in late if not _is_noted(data.events.get(record.run_id, ()))]
    keep_events(data, [(now, job_id, record.run_id, Happened(EventKind.LATE)) for record in new])
    return new


def _is_noted(events: Iterable[EventRow]) -> bool:
    return any(event.kind is EventKind.LATE for event in events)
