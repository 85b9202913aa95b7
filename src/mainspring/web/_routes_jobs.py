"""Jobs, schedules and backfills."""

from collections.abc import Sequence
from typing import Annotated, Any, Final  # Any: OpenAPI documents

from fastapi import APIRouter, Path, Query

from mainspring.base import from_us
from mainspring.errors import UnknownBackfillError, UnknownJobError
from mainspring.jobs import JobApp, JobDefinition, shown
from mainspring.web._plain import plain
from mainspring.web._views import (
    BackfillView,
    ConfigVersionView,
    FireView,
    IdMark,
    JobDetailView,
    JobView,
    Limit,
    Mark,
    NumberMark,
    Page,
    RangeView,
    ScheduleVersionView,
    ScheduleView,
)

_FIRES: Final = 5
_GAPS: Final = 100

JobId = Annotated[str, Path(description="the job's id", examples=["load_flights"])]


class JobRoutes:
    """Answers about the jobs of one app."""

    def __init__(self, app: JobApp) -> None:
        self._app = app
        self.router = APIRouter(tags=["jobs"])
        add: Any = self.router.add_api_route  # Any: FastAPI's signature has a hundred keywords
        add("/jobs", self.list_jobs, summary="List jobs, by id")
        add("/jobs/{job_id:path}", self.show_job, summary="Show one job")
        add("/schedules", self.list_schedules, summary="List schedules, by job id")
        add("/schedule-versions", self.list_schedule_versions, summary="List the versions of a schedule, newest first")
        add("/config-versions", self.list_config_versions, summary="List the stored configs of a job, newest first")
        add("/backfills", self.list_backfills, summary="List backfills, newest first")
        add("/backfills/{backfill_id}", self.show_backfill, summary="Show one backfill")

    async def list_jobs(
        self,
        text: Annotated[str | None, Query(max_length=200, description="part of the id or of the description")] = None,
        tag: Annotated[str | None, Query(max_length=200, description="only with this tag")] = None,
        after: Mark = None,
        limit: Limit = 100,
    ) -> Page[JobView]:
        """List the jobs that the code declares, with what the store knows of them."""
        found = [one for _, one in sorted(self._app.jobs.items()) if _fits(one, text=text, tag=tag, after=after)]
        page, more = found[:limit], len(found) > limit
        async with self._app.reading() as reader:
            rows, counts = await reader.rows(), await reader.counts()
            marks = await reader.watermarks([one.job_id for one in page])
        views = [
            JobView.of(one, rows.get(one.job_id), counts.get(one.job_id, {}), marks.get(one.job_id)) for one in page
        ]
        return Page(items=views, next=page[-1].job_id if more else None)

    async def show_job(self, job_id: JobId) -> JobDetailView:
        """Show a job with its next fires, its gaps and its declared config."""
        one = self._app.jobs.get(job_id)
        if one is None:
            raise UnknownJobError(job_id=job_id, known=tuple(self._app.jobs))
        async with self._app.reading() as reader:
            rows, counts = await reader.rows(), await reader.counts()
            watermark, gaps = await reader.watermark(job_id), await reader.gaps(job_id)
        return JobDetailView(
            job=JobView.of(one, rows.get(job_id), counts.get(job_id, {}), watermark),
            config=plain(shown(one.config, one.schema)),
            next_fires=self._next_fires(job_id),
            gaps=[RangeView(start=start, end=end) for start, end in gaps[:_GAPS]],
            gap_count=len(gaps),
        )

    def _next_fires(self, job_id: str) -> Sequence[FireView]:
        return [
            FireView(
                fire_at=one.fire,
                local=one.local.isoformat(),
                interval_start=None if one.interval is None else one.interval.start,
                interval_end=None if one.interval is None else one.interval.end,
                clock=one.mark,
            )
            for one in self._app.plan(job_id, count=_FIRES)
        ]

    async def list_schedules(
        self,
        after: Mark = None,
        limit: Limit = 100,
    ) -> Page[ScheduleView]:
        """List the schedules of the jobs that have one."""
        found = [
            (job_id, one.schedule)
            for job_id, one in sorted(self._app.jobs.items())
            if one.schedule is not None and (after is None or job_id > after)
        ]
        async with self._app.reading() as reader:
            rows = await reader.rows()
        views: list[ScheduleView] = []
        for job_id, schedule in found[:limit]:
            row = rows.get(job_id)
            views.append(
                ScheduleView(
                    job_id=job_id,
                    schedule=schedule.describe(),
                    timezone=schedule.timezone,
                    version=None if row is None else row.version,
                    cursor=None if row is None else from_us(row.cursor),
                    next_fire_at=None if row is None else from_us(row.next_fire_at),
                    overridden=row is not None and row.override is not None,
                    paused=row is not None and row.paused,
                )
            )
        return Page(items=views, next=views[-1].job_id if len(found) > limit else None)

    async def list_schedule_versions(
        self,
        job: Annotated[str, Query(max_length=200, description="the job's id")],
        before: NumberMark = None,
        limit: Limit = 50,
    ) -> Page[ScheduleVersionView]:
        """List what a job's schedule was and is, and where each of them began."""
        async with self._app.reading() as reader:
            found = await reader.schedule_history(job, before=before, limit=limit + 1)
        views = [ScheduleVersionView.of(one) for one in found[:limit]]
        return Page(items=views, next=str(views[-1].version) if len(found) > limit else None)

    async def list_config_versions(
        self,
        job: Annotated[str, Query(max_length=200, description="the job's id")],
        before: NumberMark = None,
        limit: Limit = 50,
    ) -> Page[ConfigVersionView]:
        """List the versions of a job's stored config, secrets as stars."""
        definition = self._app.definition(job)
        async with self._app.reading() as reader:
            found = await reader.config_history(job, before=before, limit=limit + 1)
        views = [ConfigVersionView.of(one, definition) for one in found[:limit]]
        return Page(items=views, next=str(views[-1].version) if len(found) > limit else None)

    async def list_backfills(
        self,
        job: Annotated[str | None, Query(max_length=200, description="only of this job")] = None,
        before: IdMark = None,
        limit: Limit = 50,
    ) -> Page[BackfillView]:
        """List backfills with how far they are."""
        async with self._app.reading() as reader:
            rows = await reader.backfills(job, before=before, limit=limit + 1)
        views = [BackfillView.of(row) for row in rows[:limit]]
        return Page(items=views, next=views[-1].backfill_id if len(rows) > limit else None)

    async def show_backfill(self, backfill_id: Annotated[str, Path(max_length=200)]) -> BackfillView:
        """Show a backfill with how far it is."""
        async with self._app.reading() as reader:
            row = await reader.backfill(backfill_id)
        if row is None:
            raise UnknownBackfillError(backfill_id=backfill_id)
        return BackfillView.of(row)


def _fits(one: JobDefinition, *, text: str | None, tag: str | None, after: str | None) -> bool:
    if after is not None and one.job_id <= after:
        return False
    if tag is not None and tag not in one.tags:
        return False
    return text is None or text.lower() in f"{one.job_id}\n{one.describe()}".lower()
