"""Removes ended runs from the history in memory."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from mainspring.jobs.stores._memory_data import MemoryData
from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._steering_records import Prune, Pruned


def prune(data: MemoryData, command: Prune, now: int) -> Pruned:
    """Remove the oldest runs that are not to be kept."""
    excess = data.tally[command.job_id, command.state.value] - command.count
    looked_at = list(islice(_old(data, command), max(min(excess, command.limit), 0)))
    gone = {one.run_id: one for one in looked_at if not data.keys.name(one.run_id, now)}
    _forget(data, gone)
    last = looked_at[-1].run_id if len(looked_at) == command.limit else None
    return Pruned(gone=len(gone), spared=len(looked_at) - len(gone), last=last)


def _old(data: MemoryData, command: Prune) -> Iterator[RunRecord]:
    """Yield the runs that ended in time, the oldest first, from where the batch before came to."""
    key = (command.job_id, command.state)
    for place in range(bisect_right(data.run_ids, command.after), len(data.run_ids)):
        one = data.ended.get(data.run_ids[place])
        if one is not None and (one.job_id, one.state) == key and (one.finished_at or 0) < command.ended_before:
            yield one


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
