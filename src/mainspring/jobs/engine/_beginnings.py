"""Where new jobs begin that need others: not before what those will ever have."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Final

from mainspring.base import from_us, to_us
from mainspring.errors import NeedsError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._past import beginning_of_versions
from mainspring.jobs.engine._scheduler import due_after
from mainspring.jobs.model import Need, RangeSet
from mainspring.jobs.stores import JobRegistration, JobRow, JobStore

log = logging.getLogger(__name__)

_MOST_VERSIONS: Final = 10_000


async def with_beginnings(
    store: JobStore, jobs: Sequence[JobRegistration], definitions: Mapping[str, JobDefinition]
) -> list[JobRegistration]:
    """Return the registrations, with new jobs that need others where those have what they need.

    One that says its `start_at` has to have it; the others begin with the first interval that can be satisfied.

    Raises:
        NeedsError: the first interval of a new job lies before what a job that it needs will ever have.
    """
    if not any(definitions[job.job_id].needs for job in jobs):
        return list(jobs)
    rows = {row.job_id: row for row in await store.jobs()}
    beginnings = _Beginnings(store, jobs, definitions, rows)
    graph = {job_id: [need.job_id for need in one.needs] for job_id, one in definitions.items()}
    for job_id in TopologicalSorter(graph).static_order():  # what a job needs comes first, and may itself have moved
        for need in definitions[job_id].needs:
            await beginnings.settle(job_id, need)
    return [beginnings.new.get(job.job_id, job) for job in jobs]


class _Beginnings:
    """Where the jobs of an app begin or began.

    Attributes:
        new: the registrations of the jobs that get their first schedule now.
    """

    def __init__(
        self,
        store: JobStore,
        jobs: Sequence[JobRegistration],
        definitions: Mapping[str, JobDefinition],
        rows: Mapping[str, JobRow],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._rows: dict[str, JobRow] = {}
        for job_id, one in definitions.items():
            known = next((name for name in (job_id, *one.was) if name in rows), None)
            if known is not None:
                self._rows[job_id] = rows[known]
        self.new = {job.job_id: job for job in jobs if self._cursor(job.job_id) is None}

    def _cursor(self, job_id: str) -> int | None:
        row = self._rows.get(job_id)
        return None if row is None else row.cursor

    async def settle(self, job_id: str, need: Need) -> None:
        """Move the beginning of a new job to where this need can be satisfied; say what cannot be."""
        definition, new = self._definitions[job_id], self.new.get(job_id)
        cursor = self._cursor(job_id) if new is None else new.cursor
        if cursor is None or (new is None and need.job_id not in self.new):  # nothing begins here
            return
        asked = cursor + int(need.offset * 1e6)
        begins = await self._beginning(need.job_id)
        have = await self._have(need, asked, begins)
        gaps = [] if begins <= asked else list(have.gaps(asked, begins))
        if not gaps:
            return
        if new is None:
            log.warning("%s; its runs before that wait until that is backfilled", _said(job_id, need, asked, begins))
        elif definition.start_at is None:
            self._move(definition, new, need, gaps[-1][1] - int(need.offset * 1e6))
        elif gaps[0][0] == asked:
            raise NeedsError(
                job_id=job_id,
                problem=_problem(need, asked, begins),
                hint=f"give {need.job_id!r} a start_at= as early as that, or backfill it before {job_id!r} is added",
            )

    def _move(self, definition: JobDefinition, new: JobRegistration, need: Need, earliest: int) -> None:
        fire = None if definition.schedule is None else definition.schedule.next_fire(from_us(earliest - 1))
        if fire is None:
            return
        self.new[new.job_id] = replace(new, cursor=to_us(fire), next_fire_at=due_after(definition, to_us(fire)))
        log.info(
            "the new job %r begins with its interval from %s on: before that %r has not what it needs",
            new.job_id,
            f"{fire:%Y-%m-%dT%H:%M:%SZ}",
            need.job_id,
        )

    async def _beginning(self, job_id: str) -> int:
        new = self.new.get(job_id)
        if new is not None:
            return new.cursor or 0
        versions = await self._store.schedules(self._rows[job_id].job_id, limit=_MOST_VERSIONS)
        return beginning_of_versions(self._definitions[job_id], versions)

    async def _have(self, need: Need, start: int, end: int) -> RangeSet:
        """Return what a job has of a range before its beginning: what was backfilled."""
        row = self._rows.get(need.job_id)
        if row is None or start >= end:
            return RangeSet()
        accepted = {"succeeded", "skipped"} if need.allow_skipped else {"succeeded"}
        done = await self._store.done(row.job_id, start, end)
        return RangeSet((one.start, one.end) for one in done if one.state in accepted)


def _said(job_id: str, need: Need, asked: int, begins: int) -> str:
    return f"job {job_id!r} {_problem(need, asked, begins)}"


def _problem(need: Need, asked: int, begins: int) -> str:
    asks, starts = from_us(asked).isoformat(), from_us(begins).isoformat()
    return f"needs {need.job_id!r} from {asks} on, but that starts at {starts}"
