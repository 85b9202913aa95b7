"""Dependencies between jobs, checked as a graph before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mainspring.errors import NeedsError
from mainspring.jobs.model._schedule import Schedule


@dataclass(frozen=True, slots=True)
class Need:
    """A job whose intervals must cover a run's whole interval before the run may start.

    Attributes:
        job_id: the upstream job.
        offset: seconds that the asked range lies later (negative: earlier) than the run's own interval.
        allow_skipped: skipped intervals of the upstream count as covered.
    """

    job_id: str
    offset: float = 0.0
    allow_skipped: bool = False


def check_needs(jobs: Mapping[str, tuple[Schedule | None, Sequence[Need]]]) -> None:
    """Refuse needs that can never be satisfied.

    Raises:
        NeedsError: an unknown job, one without intervals on either side, or a circle (drawn).
    """
    for job_id, (schedule, needs) in jobs.items():
        for need in needs:
            if need.job_id not in jobs:
                known = ", ".join(jobs)
                raise NeedsError(job_id=job_id, problem=f"needs {need.job_id!r}, which is not a job; known: {known}")
            upstream = jobs[need.job_id][0]
            if upstream is None or not upstream.has_intervals:
                raise NeedsError(job_id=job_id, problem=f"needs {need.job_id!r}, which has no data intervals")
            if schedule is None or not schedule.has_intervals:
                raise NeedsError(job_id=job_id, problem="needs other jobs but has no data intervals of its own")
    settled: set[str] = set()
    for job_id in jobs:
        _refuse_circles(job_id, jobs, settled, ())


def _refuse_circles(
    job_id: str,
    jobs: Mapping[str, tuple[Schedule | None, Sequence[Need]]],
    settled: set[str],
    path: tuple[str, ...],
) -> None:
    if job_id in path:
        circle = " -> ".join((*path[path.index(job_id) :], job_id))
        raise NeedsError(job_id=job_id, problem=f"jobs need one another in a circle: {circle}")
    if job_id in settled:
        return
    for need in jobs[job_id][1]:
        _refuse_circles(need.job_id, jobs, settled, (*path, job_id))
    settled.add(job_id)
