"""Runs that nobody takes: their job is gone from the code, or nobody serves their queue. The same in every store."""

from collections.abc import Iterable, Sequence

from mainspring.jobs.stores._records import NodeTakes, StrandedRow

Head = tuple[str, str, int, str]
"""(queue, job id, since when the first run of both could be claimed, its id)."""


def stranded(heads: Iterable[Head], takers: Sequence[NodeTakes | None]) -> list[StrandedRow]:
    """Return what no living node takes; nothing when none lives but guests, or one does not say it (None)."""
    known = [one for one in takers if one is not None]
    if len(known) < len(takers) or not any(one.jobs for one in known):
        return []
    oldest: dict[tuple[str, str], tuple[int, str]] = {}
    for queue, job_id, at, run_id in heads:
        if not any(queue in one.queues and job_id in one.jobs for one in known):
            oldest[job_id, queue] = min((at, run_id), oldest.get((job_id, queue), (at, run_id)))
    return [
        StrandedRow(job_id=job_id, queue=queue, oldest_at=at, oldest_run=run_id)
        for (job_id, queue), (at, run_id) in sorted(oldest.items())
    ]
