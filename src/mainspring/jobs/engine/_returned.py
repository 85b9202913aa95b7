"""Says which renamed jobs have been scheduled under their earlier ids meanwhile: those hours run a second time."""

import logging
from collections.abc import Sequence

from mainspring.base import from_us
from mainspring.jobs.stores import JobRegistration, JobStore

log = logging.getLogger(__name__)


async def say_returned(store: JobStore, jobs: Sequence[JobRegistration]) -> None:
    """Warn about those of `jobs` that the store knows beside an earlier id of theirs that is further on.

    Code of before the rename has run on the store again since: it knew no later id, and so began the job anew.
    """
    ids = {job.job_id for job in jobs}
    earlier = [(job.job_id, name) for job in jobs for name in job.was if name not in ids]
    if not earlier:
        return
    cursors = {row.job_id: row.cursor for row in await store.jobs()}
    for job_id, name in earlier:
        begins, stands = cursors.get(job_id), cursors.get(name)
        if begins is not None and stands is not None and begins < stands:
            log.warning(
                "the job %r was scheduled under its earlier id %r until %s, and goes on from %s itself: what lies "
                "between runs again, as its missed= says, unless you cancel those runs. Code of before a rename "
                "goes on where the renamed job stands if you let its %r say was=(%r,)",
                job_id,
                name,
                *(f"{from_us(instant):%Y-%m-%dT%H:%M:%SZ}" for instant in (stands, begins)),
                name,
                job_id,
            )
