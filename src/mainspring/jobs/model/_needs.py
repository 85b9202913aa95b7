"""Dependencies between jobs, checked as a graph before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from typing import Final

from mainspring.base import seconds_hint
from mainspring.errors import InvalidArgumentError, NeedsError
from mainspring.jobs.model._schedule import Schedule

_LONGEST: Final = 100 * 366 * 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Need:
    """A job whose intervals must cover a run's whole interval before the run may start.

    Attributes:
        job_id: the upstream job.
        offset: seconds that the asked range lies later (negative: earlier) than the run's own interval.
        allow_skipped: skipped intervals of the upstream count as covered.

    Raises:
        InvalidArgumentError: the id is no text, or the offset no number of seconds of 100 years at most.
    """

    job_id: str
    offset: float = 0.0
    allow_skipped: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.job_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # anything gets here
            raise InvalidArgumentError(argument="job_id", value=self.job_id, expected="the id of a job")
        if not _is_offset(self.offset):
            expected, hint = "seconds, of 100 years at most", seconds_hint(self.offset)
            raise InvalidArgumentError(argument="offset", value=self.offset, expected=expected, hint=hint)


def _is_offset(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LONGEST


def check_needs(
    jobs: Mapping[str, tuple[Schedule | None, Sequence[Need]]],
    *,
    starts: Mapping[str, datetime] | None = None,
) -> None:
    """Refuse needs that can never be satisfied.

    Args:
        jobs: each job's schedule and needs.
        starts: where the intervals of a job begin (`start_at`), for those of which it is known.

    Raises:
        NeedsError: an unknown job, one without intervals on either side, an upstream that starts later than
            what is asked of it, or a circle (drawn).
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
            _refuse_late(job_id, need, starts or {})
    _refuse_circles(jobs)


def _refuse_late(job_id: str, need: Need, starts: Mapping[str, datetime]) -> None:
    own, upstream = starts.get(job_id), starts.get(need.job_id)
    if own is None or upstream is None:
        return
    asked = own + timedelta(seconds=need.offset)
    if asked < upstream:
        raise NeedsError(
            job_id=job_id,
            problem=f"needs {need.job_id!r} from {asked.isoformat()} on, but that starts at {upstream.isoformat()}",
        )


def _refuse_circles(jobs: Mapping[str, tuple[Schedule | None, Sequence[Need]]]) -> None:
    needed_by = {job_id: [need.job_id for need in needs] for job_id, (_, needs) in jobs.items()}
    try:
        TopologicalSorter(needed_by).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]  # graphlib lists the needed job first
        start = circle.index(min(circle))
        circle = [*circle[start:-1], *circle[:start], circle[start]]
        drawn = " -> ".join(circle)
        raise NeedsError(job_id=circle[0], problem=f"needs itself, in a circle: {drawn}") from None
