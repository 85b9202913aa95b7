"""Removes ended runs from the history in memory."""

from itertools import islice

from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._steering_records import Prune


def prune(data: MemoryData, command: Prune) -> int:
    """Remove the oldest runs that are not to be kept; return how many."""
    key = (command.job_id, command.state)
    ended = sorted((one for one in data.ended.values() if (one.job_id, one.state) == key), key=lambda one: one.run_id)
    ended = [one for one in ended if (one.finished_at or 0) < command.spare_since]
    gone: dict[str, RunRecord] = {}
    if command.ended_before is not None:
        old = (one for one in ended if (one.finished_at or 0) < (command.ended_before or 0))
        gone = {one.run_id: one for one in islice(old, command.limit)}
    if command.count is not None:
        excess = data.tally[command.job_id, command.state.value] - command.count - len(gone)
        wanted = min(excess, command.limit - len(gone))
        others = (one for one in ended if one.run_id not in gone)
        gone |= {one.run_id: one for one in islice(others, max(wanted, 0))}
    _forget(data, gone)
    return len(gone)


def _forget(data: MemoryData, gone: dict[str, RunRecord]) -> None:
    if not gone:
        return
    data.run_ids[:] = [run_id for run_id in data.run_ids if run_id not in gone]
    for run_id, record in gone.items():
        del data.ended[run_id]
        data.logs.pop(run_id, None)
        data.progress.pop(run_id, None)
        data.events.pop(run_id, None)
        data.tally[record.job_id, record.state.value] -= 1
    for key in [key for key, runs in data.ended_occurrences.items() if not gone.keys().isdisjoint(runs.values())]:
        runs = data.ended_occurrences[key]
        kept = {generation: run_id for generation, run_id in runs.items() if run_id not in gone}
        if kept:
            data.ended_occurrences[key] = kept
        else:
            del data.ended_occurrences[key]
