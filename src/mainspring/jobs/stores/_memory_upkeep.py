"""Looking after a store in memory: what contradicts itself."""

from collections import Counter
from itertools import pairwise

from mainspring.jobs.model import RunState
from mainspring.jobs.stores._memory_data import MemoryData


def find_problems(data: MemoryData) -> list[str]:
    """Return a sentence for each thing that contradicts another; the same that the SQLite store looks for."""
    both = [f"run {run_id} is live and ended at the same time" for run_id in data.live.keys() & data.ended.keys()]
    return [*sorted(both), *_counts(data), *_slots(data), *_kept(data), *_ranges(data), *_backfills(data)]


def _counts(data: MemoryData) -> list[str]:
    found = Counter((one.job_id, one.state.value) for one in data.ended.values())
    live = Counter((run.record.job_id, run.record.state.value) for run in data.live.values())
    if live != +data.live_counts:
        return [f"runs that have not ended are counted as {+data.live_counts}, and are {live}"]
    return [
        f"job {job} has {found[job, state]} runs that ended as {state}, and {data.tally[job, state]} are counted"
        for job, state in sorted(found.keys() | data.tally.keys())
        if found[job, state] != data.tally[job, state]
    ]


def _slots(data: MemoryData) -> list[str]:
    running = [run for run in data.live.values() if run.record.state is RunState.RUNNING]
    wanted = Counter(key for run in running for key, _ in run.limits)
    wanted.update(key for kept in data.kept.values() for key in kept.keys)
    return [
        f"{wanted[key]} runs hold the limit {key}, and {data.counters[key]} are counted"
        for key in sorted(wanted.keys() | data.counters.keys())
        if wanted[key] != data.counters[key]
    ]


def _kept(data: MemoryData) -> list[str]:
    return [
        f"run {run_id} keeps its places under limits for epoch {kept.epoch}, which has ended"
        for (run_id, _), kept in data.kept.items()
        if kept.epoch not in data.nodes
    ]


def _ranges(data: MemoryData) -> list[str]:
    problems: list[str] = []
    for job, ranges in data.done.items():
        overlap = any(one[1] > after[0] for one, after in pairwise(ranges))
        if overlap or any(end <= start for start, end, _ in ranges):
            problems.append(f"the done-set of job {job} has ranges that overlap or are empty")
    return problems


def _backfills(data: MemoryData) -> list[str]:
    found = Counter(run.record.backfill_id for run in data.live.values())
    found.update(backfill_id for run_id, others in data.joined.items() if run_id in data.live for backfill_id in others)
    return [
        f"backfill {row.backfill_id} has {found[row.backfill_id]} live runs, and {row.live_count} are counted"
        for row in data.backfills.values()
        if found[row.backfill_id] != row.live_count
    ]
