"""Says which new jobs will never fire: their only instant has passed, and nothing else would tell."""

import logging
from collections.abc import Mapping, Sequence

from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import At
from mainspring.jobs.stores import JobRegistration, JobStore

log = logging.getLogger(__name__)


async def say_bygone(
    store: JobStore, jobs: Sequence[JobRegistration], definitions: Mapping[str, JobDefinition]
) -> None:
    """Warn about those of `jobs` that the store does not know yet and whose `at=` lies before their beginning."""
    instants = {
        job.job_id: schedule.instant
        for job in jobs
        if job.next_fire_at is None and isinstance(schedule := definitions[job.job_id].schedule, At)
    }
    if not instants:
        return
    known = {row.job_id for row in await store.jobs()}
    for job in jobs:
        instant = instants.get(job.job_id)
        if instant is not None and known.isdisjoint((job.job_id, *job.was)):
            log.warning(
                "the new job %r never fires: its at=%s lies before its beginning; beside a start_at= that is earlier, "
                "missed= says what becomes of it",
                job.job_id,
                f"{instant:%Y-%m-%dT%H:%M:%SZ}",
            )
