"""Runs that nobody takes: their job is gone from the code, or nobody serves their queue. The same in every store."""

from collections.abc import Iterable, Sequence

from mainspring.jobs.stores._records import NodeTakes, StrandedRow

Head = tuple[str, str, int]
"""(queue, job id, since when the first run of both could be claimed)."""


def stranded(heads: Iterable[Head], takers: Sequence[NodeTakes | None]) -> list[StrandedRow]:
    """Return what no living node takes; nothing when none lives but guests, or one does not say it (None)."""
    known = [one for one in takers if one is not None]
    if len(known) < len(takers) or not any(one.jobs for one in known):
        return []
    oldest: dict[tuple[str, str], int] = {}
    for queue, job_id, at in heads:
        if not any(queue in one.queues and job_id in one.jobs for one in known):
            oldest[job_id, queue] = min(at, oldest.get((job_id, queue), at))
    return [StrandedRow(job_id=job, queue=queue, oldest_at=oldest[job, queue]) for job, queue in sorted(oldest)]
