"""Events of runs in memory."""

from collections.abc import Iterable, Sequence

from mainspring.jobs.stores._events import EVENTS_KEPT, EventKind, Happened, event_row
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
    fires = [record for record in live if record.kind is RunKind.SCHEDULE and record.scheduled_at is not None]
    late = [record for record in fires if (record.scheduled_at or 0) <= scheduled_before][:_AT_ONCE]
    late += [data.ended[run_id] for run_id in ended if run_id in data.ended]
    return _note(data, late, EventKind.LATE, now)


def note_stranded(data: MemoryData, run_ids: Sequence[str], now: int) -> list[RunRecord]:
    """Note that nobody takes these runs, those that live and were not noted before; return them."""
    records = [data.live[run_id].record for run_id in run_ids if run_id in data.live]
    return _note(data, records, EventKind.STRANDED, now)


def _note(data: MemoryData, records: Iterable[RunRecord], kind: EventKind, now: int) -> list[RunRecord]:
    new = [one for one in records if all(event.kind is not kind for event in data.events.get(one.run_id, ()))]
    keep_events(data, [(now, one.job_id, one.run_id, Happened(kind)) for one in new])
    return new
