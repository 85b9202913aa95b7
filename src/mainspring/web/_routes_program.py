"""The program itself: the app, its nodes and services, statistics, sinks and what waits on disk for them."""

from typing import Annotated, Any, Final  # Any: OpenAPI documents

from fastapi import APIRouter, Query

from mainspring.base import get_statistics
from mainspring.jobs import JobApp
from mainspring.web._plain import finite, plain
from mainspring.web._program import Health, package_version
from mainspring.web._views import Limit, NumberMark, Page
from mainspring.web._views_program import (
    AppView,
    DeadLetterView,
    HealthView,
    NodeView,
    QueueView,
    ServiceView,
    SinkView,
    SpoolView,
    StatisticView,
)

_LETTER: Final = r"^[^:]*:\d{1,18}$"


class ProgramRoutes:
    """Answers about one app and the program around it."""

    def __init__(self, app: JobApp, health: Health) -> None:
        self._app = app
        self._health = health
        self.router = APIRouter(tags=["program"])
        add: Any = self.router.add_api_route  # Any: FastAPI's signature has a hundred keywords
        add("/app", self.show_app, summary="Show the app")
        add("/nodes", self.list_nodes, summary="List the nodes of the store, the latest first")
        add("/services", self.list_services, summary="Show the services of this program and their health")
        add("/statistics", self.list_statistics, summary="List the live numbers of this program")
        add("/sinks", self.list_sinks, summary="List the sinks that take batches and were used")
        add("/spool", self.show_spool, summary="Show what this process keeps on disk for sinks")
        add("/dead-letters", self.list_dead_letters, summary="List dead letters of this process, oldest first")

    async def show_app(self) -> AppView:
        """Show the app with the queues in which runs wait."""
        app = self._app
        async with app.reading() as reader:
            queues, store = await reader.queues(), reader.location
        return AppView(
            label=app.label,
            version=package_version(),
            store=store,
            jobs=len(app.jobs),
            running=app.running_count,
            queues=[QueueView.of(one) for one in queues],
        )

    async def list_nodes(self, before: NumberMark = None, limit: Limit = 100) -> Page[NodeView]:
        """List the nodes, those that ended a while ago included; one that died is alive until its runs are rescued."""
        async with self._app.reading() as reader:
            rows = await reader.nodes(before=before, limit=limit + 1)
        views = [NodeView.of(one, here=self._app.epoch) for one in rows[:limit]]
        return Page(items=views, next=str(views[-1].epoch) if len(rows) > limit else None)

    async def list_services(self) -> HealthView:
        """Show the services of the program that this server is part of."""
        report = self._health()
        if report is None:
            return HealthView(ready=self._app.is_open, healthy=True, services=[])
        services = [
            ServiceView(
                name=one.name,
                state=one.state,
                ready=one.ready,
                healthy=one.healthy,
                restart_count=one.restart_count,
                error=one.error,
            )
            for one in report.services
        ]
        return HealthView(ready=report.ready, healthy=report.healthy, services=services)

    async def list_statistics(
        self, kind: Annotated[str | None, Query(max_length=200, description="only of this class")] = None
    ) -> Page[StatisticView]:
        """List every live statistic; those of one kind may share a name."""
        found = [
            StatisticView(kind=one.kind.__name__, name=one.name, metric=one.metric, value=finite(one.value))
            for one in get_statistics()
            if kind in (None, one.kind.__name__)
        ]
        return Page(items=found, next=None)

    async def list_sinks(self) -> Page[SinkView]:
        """List the sinks that take batches; rows of tables travel with the end of their run and are counted there."""
        found = [
            SinkView(
                sink=one.sink,
                waiting=one.waiting_count,
                written=one.written_count,
                batches=one.batch_count,
                failures=one.failure_count,
                spooled=one.spooled_count,
            )
            for one in self._app.sink_stats()
        ]
        return Page(items=found, next=None)

    async def show_spool(self) -> SpoolView:
        """Show how much waits on disk, and how much is not tried any more."""
        stats, spool = self._app.spool_stats(), self._app.spool
        return SpoolView(
            folder=None if spool is None else str(spool.root),
            waiting=stats.waiting_count,
            dead=stats.dead_count,
            size_bytes=stats.size_bytes,
        )

    async def list_dead_letters(
        self,
        sink: Annotated[str | None, Query(max_length=200, description="only of this sink")] = None,
        after: Annotated[
            str | None, Query(pattern=_LETTER, max_length=200, description="`next` of the page before")
        ] = None,
        limit: Limit = 100,
    ) -> Page[DeadLetterView]:
        """List what sinks refused so often that it is not tried any more."""
        spool = self._app.spool
        seen = None if after is None else int(after.rpartition(":")[2])
        letters = [] if spool is None else await spool.dead_letters(sink=sink, after=seen, limit=limit + 1)
        found = [
            DeadLetterView(
                letter_id=one.label,
                sink=one.sink,
                item_type=one.item_type,
                job_id=one.job_id,
                run_id=one.run_id,
                spooled_at=one.spooled_at,
                tries=one.tries,
                reason=one.reason,
                items=[plain(item) for item in one.items],
            )
            for one in letters[:limit]
        ]
        return Page(items=found, next=found[-1].letter_id if len(letters) > limit else None)
