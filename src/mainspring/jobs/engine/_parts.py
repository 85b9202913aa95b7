"""What an app has while it is open on a loop: store, node, planners, pools; made together, closed in reverse."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any  # Any: what a resource gives may be anything

from mainspring.jobs.engine._alert import check_resource
from mainspring.jobs.engine._alerts import Alerts
from mainspring.jobs.engine._beginnings import with_beginnings
from mainspring.jobs.engine._bygone import say_bygone
from mainspring.jobs.engine._capture import install_capture, remove_capture
from mainspring.jobs.engine._configs import JobConfigs
from mainspring.jobs.engine._definition import SUPPLIED, JobDefinition
from mainspring.jobs.engine._leases import Leases
from mainspring.jobs.engine._needs import NeedsKeeper
from mainspring.jobs.engine._node import Node
from mainspring.jobs.engine._overrides import Overrides
from mainspring.jobs.engine._places import Places
from mainspring.jobs.engine._planner import BackfillPlanner
from mainspring.jobs.engine._refusals import Refusals
from mainspring.jobs.engine._registry import Registry
from mainspring.jobs.engine._retention import Pruner
from mainspring.jobs.engine._returned import say_returned
from mainspring.jobs.engine._scheduler import Scheduler, registration_of
from mainspring.jobs.engine._settings import SettingsSource
from mainspring.jobs.engine._strays import Strays
from mainspring.jobs.engine._troubles import log_trouble
from mainspring.jobs.engine._waiters import Waiters
from mainspring.jobs.engine._work import Work
from mainspring.jobs.engine._written import WrittenIntervals
from mainspring.jobs.model import Retention
from mainspring.jobs.stores import EnqueueAnswer, JobRow, JobStore, NewRun, RunRecord
from mainspring.runtime import Provider, ResourceContainer
from mainspring.sinks import SinkRun, SinkSet

if TYPE_CHECKING:
    from mainspring.jobs.engine._app import JobApp


class _Stage:
    """The job store's stage, as sinks see it."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        await self._store.stage(run, sink_name, sequence, payload)


class AppResources:
    """The resources of an open app: those of the program around it, or its own.

    Args:
        shared: the program's, which closes them itself; None for an app on its own.
        overrides: (provider, replacement) pairs, in force until `close`.
    """

    def __init__(self, shared: ResourceContainer | None, overrides: Sequence[tuple[Provider, Provider]]) -> None:
        self.container = ResourceContainer() if shared is None else shared
        self._is_own = shared is None
        self._overridden = [provider for provider, _ in overrides]
        for provider, replacement in overrides:
            self.container.override(provider, replacement)

    async def close(self) -> None:
        """Close what is our own, else leave the program's as it was."""
        if self._is_own:
            await self.container.close()
        else:
            for provider in self._overridden:
                self.container.override(provider, provider)


class OpenApp:
    """One app, open on one loop.

    Args:
        resources: where resources live; closed with the app.
    """

    def __init__(
        self,
        app: "JobApp",
        store: JobStore,
        registry: Registry,
        *,
        sinks: SinkSet,
        resources: AppResources,
        slots: int,
        live_reserve: int,
        queues: tuple[str, ...],
        poll_interval: float,
        cancel_grace: float,
        settings: SettingsSource,
        retention: Callable[[], Retention] | None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.store = store
        self.refusals = Refusals(store)
        self.sinks = sinks
        self._resources = resources
        self.places = Places(resources.container, cancel_grace=cancel_grace)
        self.configs = JobConfigs(store, settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._hears = False
        self._metrics = app.metrics
        self._stream = app.stream
        self._definitions = definitions = app.jobs
        self._declared = registry.declared
        works = {job_id: self._work_of(app, one) for job_id, one in definitions.items()}
        self.waiters = Waiters(store, poll_interval=poll_interval)
        self.node = Node(
            store,
            works,
            slots=slots,
            live_reserve=live_reserve,
            queues=queues,
            poll_interval=poll_interval,
            cancel_grace=cancel_grace,
            metrics=app.metrics,
            on_start=app.stream.started,
            on_end=self._run_ended,
            on_change=self._catalogue_changed,
            on_lease_end=self._lease_ends,
        )
        self.leases = Leases(store, self.node, poll_interval=poll_interval)
        self.needs = NeedsKeeper(store, definitions, poll_interval=poll_interval, on_released=self.node.wake)
        self.planner = self._make_planner(poll_interval)
        self._pruner = None if retention is None else Pruner(store, retention, definitions, poll_interval=poll_interval)
        self._overrides = Overrides(registry, works)
        self._names = {**resources.container.names, **app.resource_names}
        self.alerts = self._make_alerts(app)
        self._strays = Strays(store, poll_interval=poll_interval, tell=self.alerts.stranded)
        self.scheduler = Scheduler(
            store,
            definitions,
            poll_interval=poll_interval,
            apply=self._overrides.apply,
            on_created=lambda _: self._runs_made(),
        )

    def _work_of(self, app: "JobApp", definition: JobDefinition) -> Work:
        names = {**app.resource_names, **definition.names}
        binding = self._resources.container.bind(definition.function, names=names, supplied=SUPPLIED)
        supplied = tuple(name for name in supplied_names(definition) if name not in binding.parameters)
        instance = definition.takes_instance
        return Work(definition, binding, supplied, app, self.store, self.sinks, self.configs, self.places, instance)

    def _make_planner(self, poll_interval: float) -> BackfillPlanner:
        return BackfillPlanner(
            self.store,
            self._definitions,
            written=WrittenIntervals(self.store, self.sinks),
            poll_interval=poll_interval,
            on_created=self._runs_made,
        )

    def _make_alerts(self, app: "JobApp") -> Alerts:
        """Return who tells people; refuse an alert that goes to a resource which nobody offers."""
        check_resource(app.alert, self._names, owner="the app")
        for job_id, one in self._definitions.items():
            check_resource(one.alert, {**self._names, **one.names}, owner=f"job {job_id!r}")
        return Alerts(
            self.store,
            self._definitions,
            app.stream,
            default=app.alert,
            resource=self._alert_resource,
            threads=self.places.threads,
        )

    def _alert_resource(self, definition: JobDefinition | None, name: str) -> AbstractAsyncContextManager[Any]:
        names = self._names if definition is None else {**self._names, **definition.names}
        return self._resources.container.use(names[name])

    async def start_runner(self, *, guest: bool) -> None:
        """Register the jobs and begin to claim; backfills and waiting runs are looked after too. See `JobApp.open`."""
        self._hears = True
        install_capture()
        await (self._join() if guest else self.register())
        await self.sinks.open(_Stage(self.store))
        self.alerts.start(watch=not guest)  # before the node, which at once finds runs of nodes that died
        await self.node.start(guest=guest)
        self._start(self.scheduler.follow(), "mainspring-schedules")
        self._start(self.planner.run(), "mainspring-backfills")
        if not guest:
            self._start(self._strays.run(), "mainspring-strays")
        if self._pruner is not None:
            self._start(self._pruner.run(), "mainspring-retention")
        self._start(self.needs.run(), "mainspring-needs")

    async def register(self) -> None:
        """Tell the store which jobs there are, and take over what it knows of them."""
        now = self.store.now()
        jobs = [registration_of(one, now) for one in self._declared.values()]
        jobs = await with_beginnings(self.store, jobs, self._declared)
        await say_bygone(self.store, jobs, self._declared)
        await say_returned(self.store, jobs)
        rows = await self.store.register(jobs)
        self._overrides.registered(jobs)
        self.scheduler.take(rows)

    async def _join(self) -> None:
        """Register the jobs that the store does not know, and take over what it knows of the others."""
        known, now = await self.store.jobs(), self.store.now()
        ids = {row.job_id for row in known}
        new = [registration_of(one, now) for one in self._declared.values() if ids.isdisjoint((one.job_id, *one.was))]
        new = await with_beginnings(self.store, new, self._declared)
        await say_bygone(self.store, new, self._declared)
        self.scheduler.take([*known, *(await self.store.register(new) if new else ())])

    async def look(self) -> None:
        """Take over what the store knows of the jobs, registering none."""
        self.scheduler.take(await self.store.jobs())

    async def run_to_end(self, run: NewRun) -> RunRecord:
        """Create a run and wait until it has ended, once: a call passes here. A cancelled one does not touch the run.

        Raises:
            IdempotencyError: its key was used with other arguments.
            UnknownRunError: the store has the run no more.
            ClosedError: the app was closed first.
            StorageError: the run could not be stored.
        """
        ended: asyncio.Future[RunRecord | EnqueueAnswer] = self.loop.create_future()
        self.waiters.enter(run.run_id, ended)
        try:
            self.node.submit(run, _entered, self.waiters, run.run_id, ended, claim=True)
            found = await ended
        finally:
            self.waiters.entered(run.run_id)
            self.waiters.forget(run.run_id, ended)
        if isinstance(found, RunRecord):
            return found
        return await self.waiters.wait(found.run_id, look=True)

    def steered(self, row: JobRow) -> None:
        """Go by a job's row that was changed here, as other nodes will with their next heartbeat."""
        self.scheduler.take([row])
        self.planner.changed()
        self.node.wake()

    def start_scheduler(self) -> None:
        """Begin to turn time into runs."""
        self._start(self.scheduler.run(), "mainspring-scheduler")

    async def close(self, *, drain_timeout: float) -> None:
        """End everything in reverse; what runs is given `drain_timeout` seconds, then handed back."""
        try:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self.node.epoch:
                await self.node.close(drain_timeout=drain_timeout)
            await self.leases.close()
            await self.alerts.close(timeout=drain_timeout)
            await self.refusals.close()
            self.planner.close()
            await self.waiters.close()
            await self.sinks.close()
        finally:
            self._overrides.forget()
            await self._close_rest()

    async def _close_rest(self) -> None:
        """Close what runs have used; one that fails keeps none of the others open."""
        if self._hears:
            remove_capture()
        try:
            await self._resources.close()
        finally:
            try:
                await self.places.close()
            finally:
                await self.store.close()

    def _start(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(coroutine, name=name))

    def _run_ended(self, record: RunRecord) -> None:
        self._metrics.ended(record)
        self._stream.ended(record)
        log_trouble(record)
        self.waiters.ended(record)
        self.planner.ended(record)
        self.needs.ended(record)
        self.scheduler.ended(record)

    def _runs_made(self) -> None:
        self.node.wake()
        self.needs.made()

    def _lease_ends(self) -> None:
        self.leases.lost()

    def _catalogue_changed(self) -> None:
        self.configs.changed()
        self.scheduler.changed()
        self.planner.changed()
        self.needs.changed()


def _entered(
    waiters: Waiters,
    run_id: str,
    ended: "asyncio.Future[RunRecord | EnqueueAnswer]",
    answer: EnqueueAnswer | BaseException,
) -> None:
    """Tell a caller what came in the way of its run, or which run its key names."""
    waiters.entered(run_id)
    if ended.done():
        return
    if isinstance(answer, BaseException):
        ended.set_exception(answer)
    elif answer.record is not None and answer.record.state.terminal:
        ended.set_result(answer.record)
    elif answer.run_id != run_id:
        ended.set_result(answer)


def supplied_names(definition: JobDefinition) -> tuple[str, ...]:
    """Return the parameters of the handler that the engine fills."""
    return tuple(name for name in inspect.signature(definition.function).parameters if name in SUPPLIED)
