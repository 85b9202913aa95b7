"""What attempts say while they run, in memory: lines so far, and how far they are; read beside the records."""

from collections.abc import Sequence

from msgspec import structs

from mainspring.jobs.model import RunState
from mainspring.jobs.stores._ends import LOGS_KEPT
from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._records import AttemptLog, Finish, Report, RunRecord


def keep_reports(data: MemoryData, reports: Sequence[Report]) -> None:
    """Keep what attempts said that still run under their fence."""
    for one in reports:
        live = data.live.get(one.run_id)
        if live is not None and (live.record.state, live.record.fence) == (RunState.RUNNING, one.fence):
            keep_log(data, one)
            keep_progress(data, one)


def keep_log(data: MemoryData, said: Report | Finish) -> None:
    """Keep the lines of an attempt in the place of those that it reported before."""
    if said.log is None:
        return
    line = AttemptLog(run_id=said.run_id, fence=said.fence, attempt=said.attempt, log=said.log)
    others = [one for one in data.logs.get(said.run_id, ()) if one.fence != said.fence]
    data.logs[said.run_id] = [*others, line][-LOGS_KEPT:]


def keep_progress(data: MemoryData, said: Report | Finish) -> None:
    """Keep how far an attempt says that it has come."""
    if said.progress is not None:
        data.progress[said.run_id] = (said.fence, said.progress)


def with_progress(data: MemoryData, record: RunRecord | None) -> RunRecord | None:
    """Return a record with what its latest attempt said of its progress."""
    fence, progress = data.progress.get("" if record is None else record.run_id, (0, None))
    if record is None or progress is None or record.fence != fence:
        return record
    return structs.replace(record, progress=progress)
