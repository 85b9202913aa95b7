"""Removes ended runs from the history in memory."""

from itertools import islice

from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._steering_records import Prune, Pruned


def prune(data: MemoryData, command: Prune, now: int) -> Pruned:
    """Remove the oldest runs that are not to be kept."""
    key = (command.job_id, command.state)
    ended = sorted((one for one in data.ended.values() if (one.job_id, one.state) == key), key=lambda one: one.run_id)
    old = (one for one in ended if (one.finished_at or 0) < command.ended_before and one.run_id > command.after)
    excess = data.tally[command.job_id, command.state.value] - command.count
    looked_at = list(islice(old, max(min(excess, command.limit), 0)))
    named = data.keys.runs(now)
    gone = {one.run_id: one for one in looked_at if one.run_id not in named}
    _forget(data, gone)
    last = looked_at[-1].run_id if len(looked_at) == command.limit else None
    return Pruned(gone=len(gone), spared=len(looked_at) - len(gone), last=last)


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
