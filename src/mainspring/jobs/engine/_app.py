"""JobApp: the jobs of one program, as a service or on its own.

Started by an entrypoint it schedules and runs. Asked for a run outside of one, it opens store and runner (never
the scheduler) on the running loop and closes them with that loop: an async generator that the loop closes on
its way out does it, so that a plain `asyncio.run(main())` leaves nothing behind.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mainspring.errors import ClosedError, InvalidArgumentError, MisuseError, NoEntrypointError, UnknownRunError
from mainspring.jobs.engine._alert import Alerting, check_alert
from mainspring.jobs.engine._backfilling import Backfilling
from mainspring.jobs.engine._calls import check_key, new_call
from mainspring.jobs.engine._declarations import Job
from mainspring.jobs.engine._events import EventStream
from mainspring.jobs.engine._looking import Looking
from mainspring.jobs.engine._metrics import RunMetrics
from mainspring.jobs.engine._option_values import check_app
from mainspring.jobs.engine._refusals import REFUSALS, note_refusal
from mainspring.jobs.engine._results import RunResult
from mainspring.jobs.engine._scheduler import starts_of
from mainspring.jobs.engine._settings import OF_SETTINGS, SettingsSource
from mainspring.jobs.engine._sight import Sight
from mainspring.jobs.engine._slots import live_reserve_of
from mainspring.jobs.engine._steering import Steering
from mainspring.jobs.model import Retention, check_needs
from mainspring.jobs.stores import AppName, JobStore, RunRecord
from mainspring.runtime import Service
from mainspring.sinks import SPOOL_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.concurrency import WorkerPool
    from mainspring.jobs.engine._parts import OpenApp
    from mainspring.jobs.stores import MemoryData
    from mainspring.runtime import ResourceContainer
    from mainspring.storage import Durability
    from mainspring.tools import ConfigLoader

# What an app needs when it is open is imported then: `from mainspring.jobs import JobApp` is part of every start.

P = ParamSpec("P")
T = TypeVar("T")


class JobApp(Looking, Steering, Backfilling, Sight, Service):
    """Registers jobs, runs them, and answers for what they did.

    Two apps share no jobs, runs or configuration: a store belongs to the app that opened it first, and refuses every
    app of another label. Any number of processes may open the same app. All methods belong to the loop on which the
    app is open. What is not given here the settings may say under the same name: `store`, `retention`, and everything
    from `durability` to `key_lifetime`.

    Args:
        label: the app's name, as logs and lists show it, and by which its store knows it.
        store: `sqlite:///file` or a path; `memory` for a store that lasts as long as the app object; by default
            `MAINSPRING_STORE`, else `store` of the settings, else `mainspring.db` in the state directory
            (`MAINSPRING_STATE_DIR`, default `./.mainspring`).
        was: earlier labels of the app; a store that belongs to one of them gets the new label.
        durability: what an answered call survives: "memory", "process" (kill -9), "disk" (a power cut; the default).
        slots: handlers that may run at once; by default 10 000.
        live_reserve: slots among them that backfills leave to other runs; by default a tenth of them, and at
            least one if there are two. They also leave a thread and a worker process, where there are more.
        queues: the queues whose runs this app takes; by default "default".
        poll_interval: seconds between looks at what other processes changed, > 0; by default 2.
        drain_timeout: seconds that running handlers get at shutdown before their runs are handed back; by default 10.
        cancel_grace: seconds that a handler may take to stop, by default 5: a worker process is then killed, a thread
            left; it keeps its slot, and its place in the limits if it has one, until it or this app has ended.
        key_lifetime: seconds from a call of `run_job` for which its `idempotency_key` names its run, > 0; by default 7
            days. A later call with the key is a new one.
        schedule: False for an app that only runs what others create.
        spool: a folder for items of sinks with `on_failure="spool"` that these did not take; by default beside the
            store's file, else in the state directory.
        spool_bytes: what the spool of one process may take on disk.
        retention: which ended runs stay in the history, by default what the settings say, else the newest 100 000 of
            each job and state; the rest is removed now and then while the app is open. None keeps all. What is done,
            and what failed, is known for ever.
        alert: as that of a job, for jobs that are given none; it is told, too, when runs wait that no living node
            takes: those of a job that is gone from the code, say. A name is that of a resource of the app.
        settings: where the settings come from, the tables `[jobs.ID]` among them, whose keys replace those of
            the jobs' own config; by default `mainspring.toml` in the working directory and the variables
            `MAINSPRING__...`, which are looked at again every `poll_interval` seconds while runs start.
    """

    def __init__(
        self,
        label: str = "default",
        *,
        store: "JobStore | str | Path | None" = None,
        was: Sequence[str] = (),
        durability: "Durability | None" = None,
        slots: int | None = None,
        live_reserve: int | None = None,
        queues: Sequence[str] | None = None,
        poll_interval: float | None = None,
        drain_timeout: float | None = None,
        cancel_grace: float | None = None,
        key_lifetime: float | None = None,
        schedule: bool = True,
        spool: "str | Path | None" = None,
        spool_bytes: int = SPOOL_BYTES,
        retention: Retention | None = OF_SETTINGS,
        alert: Alerting | None = None,
        settings: "ConfigLoader | None" = None,
    ) -> None:
        from pathlib import Path

        Service.__init__(self)
        Steering.__init__(self)
        check_app(label=label, store=store, was=was, schedule=schedule)
        check_app(spool=spool, spool_bytes=spool_bytes, retention=retention)
        check_alert(alert)
        self.label = label
        self._was = tuple(was)
        self.alert = alert
        self.metrics = RunMetrics()
        self.stream = EventStream(self.shown_run)
        self._store_given = store
        self._spool_given = None if spool is None else Path(spool)
        self._spool_bytes = spool_bytes
        self._memory: MemoryData | None = None  # for store="memory": what was kept is there at the next opening
        self._schedule = schedule
        self._settings = SettingsSource(
            settings,
            durability=durability,
            slots=slots,
            live_reserve=live_reserve,
            queues=queues,
            poll_interval=poll_interval,
            drain_timeout=drain_timeout,
            cancel_grace=cancel_grace,
            key_lifetime=key_lifetime,
        )
        self._retention = retention
        self._open: OpenApp | None = None
        self._closing: OpenApp | None = None
        self._opening: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._guard: AsyncGenerator[None, None] | None = None

    def adjust(
        self,
        *,
        store: "JobStore | str | Path | None" = None,
        slots: int | None = None,
        queues: Sequence[str] | None = None,
        alert: Alerting | None = None,
    ) -> None:
        """Replace what the constructor was given, as whoever runs the app wants it; None leaves a thing as it is.

        Raises:
            InvalidArgumentError: a value is out of range.
            MisuseError: the app is open.
        """
        if self._open is not None:
            raise MisuseError(what="a JobApp", problem="is adjusted before it is opened", hint="close it first")
        check_app(store=store)
        check_alert(alert)
        self._settings.give(slots=slots, queues=queues)
        self.alert = self.alert if alert is None else alert
        if store is not None:
            self._store_given = store

    # --- its life ---

    @property
    def store(self) -> JobStore:
        """The store, once the app is open.

        Raises:
            ClosedError: the app is not open.
        """
        return self._opened().store

    async def start(self) -> None:
        """Open everything and, unless `schedule=False`, begin to schedule; called by the entrypoint."""
        opened = await self.open()
        if self._schedule:
            opened.start_scheduler()

    async def stop(self, exception: Exception | None = None) -> None:
        """Drain and close; called by the entrypoint."""
        await self.close()

    async def open(self, *, runner: bool = True, guest: bool = False) -> "OpenApp":
        """Open store and runner on the running loop, once; whoever opened it outside an entrypoint closes it.

        Args:
            runner: False for an app that only creates runs and backfills, for other processes to run.
            guest: run only jobs of which runs are asked for here (by a call, a retry, a backfill, a handler), and leave
                the schedules of jobs that the store knows as they are: for a command beside the nodes of a store.

        Raises:
            ConfigError: the settings cannot be read.
            StoreTakenError: the store belongs to another app.
            StorageError: the store cannot be opened; the message says why.
            NeedsError: jobs need unknown jobs, jobs that start later, or one another in a circle.
        """
        loop = asyncio.get_running_loop()
        if self._open is not None and self._open.loop is loop:
            return self._open
        if self._open is not None and not self._open.loop.is_closed():
            raise InvalidArgumentError(argument="loop", value=loop, expected="the loop on which the app is open")
        if self._open is not None:
            self._open = None  # its loop is closed, and all with it
        if self._opening is None or self._opening[0] is not loop:
            self._opening = (loop, asyncio.Lock())
        async with self._opening[1]:
            if self._open is None:
                self._open = await self._open_parts(runner=runner, guest=guest)
            return self._open

    async def close(self) -> None:
        """Let running handlers end (for `drain_timeout` seconds), then leave no task, thread or descriptor."""
        opened = self._open
        if opened is not None and opened is not self._closing:
            self._closing = opened  # and stays open for its handlers, which may spawn and ask until they end
            try:
                await opened.close(drain_timeout=self._settings.last.drain_timeout)
            finally:
                self._closing = None
                if self._open is opened:
                    self._open = None
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()
        if self._opening is not None and not self._opening[1].locked():
            self._opening = None  # an app that outlives its loop does not keep it

    async def _open_parts(self, *, runner: bool, guest: bool) -> "OpenApp":
        from mainspring.jobs.engine._parts import AppResources, OpenApp

        check_needs({one.job_id: (one.schedule, one.needs) for one in self.jobs.values()}, starts=starts_of(self.jobs))
        settings = self._settings.load()
        store = self._make_store(settings)
        opened = OpenApp(
            self,
            store,
            self._registry,
            sinks=self.sink_set(spool=self.spool_folder, spool_bytes=self._spool_bytes),
            resources=AppResources(self._shared_resources(), self._overrides),
            slots=settings.slots,
            live_reserve=live_reserve_of(settings.slots, settings.live_reserve),
            queues=settings.queues,
            poll_interval=settings.poll_interval,
            cancel_grace=settings.cancel_grace,
            settings=self._settings,
            retention=None if self._retention is None else self.kept,
        )
        await store.open(app=AppName(self.label, self._was))
        try:
            await (opened.start_runner(guest=guest) if runner else opened.look())
            if runner and not guest:
                self._settings.say_misspelt({row.job_id for row in await store.jobs()})
        except BaseException:
            await opened.close(drain_timeout=0.0)
            raise
        self._guard = self._close_with_loop()
        await anext(self._guard)
        return opened

    def _shared_resources(self) -> "ResourceContainer | None":
        """Return the program's resources if this app is one of its services: one instance of each for all."""
        from mainspring.runtime import Entrypoint

        try:
            program = Entrypoint.get_current()
        except NoEntrypointError:
            return None
        mine = any(one is self for one in program.services) and program.loop is asyncio.get_running_loop()
        return program.resources if mine else None

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        """Close the app when the loop shuts its async generators down."""
        try:
            yield
        finally:
            self._guard = None
            await self.close()

    def _opened(self) -> "OpenApp":
        if self._open is None:
            raise ClosedError(what=f"the app {self.label!r}", hint="await app.open() first")
        return self._open

    # --- what handlers use ---

    async def worker_pool(self) -> "WorkerPool":
        """The worker processes for CPU work, started at the first use."""
        return await self._opened().places.worker_pool()

    async def cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a worker process."""
        workers = await self.worker_pool()
        return await workers.create_task(function, *args, **kwargs)

    # --- runs ---

    async def run_job(
        self,
        job: Job,
        config: Mapping[str, object] | None = None,
        scheduled_time: datetime | None = None,
        *,
        idempotency_key: str | None = None,
        wait: bool = True,
    ) -> RunResult:
        """Run a job now and, by default, wait for its end.

        Each call is its own run; with an `idempotency_key` a second call within `key_lifetime` (7 days by default) gets
        the first one's. A handler's error does not raise here: it is in the result (`.check()` raises).

        Raises:
            UnknownJobError: the job is not registered.
            MisuseError: it was declared after the app was opened.
            IdempotencyError: the key was used with other arguments.
            UnknownRunError: the store has the run no more, or that of the key.
            ConfigError: with `config` the job's config does not fit its schema.
            InvalidArgumentError: `config` is no mapping, or has a number that JSON has not; or the key is no text of 1
                to 1024 characters that UTF-8 can write.
            StorageError: the run could not be stored.
        """
        try:
            definition = self._registry[job]
            check_key("idempotency_key", idempotency_key)
            opened = self._open
            if opened is None or opened.loop is not asyncio.get_running_loop():
                opened = await self.open()
            lifetime, now = self._settings.last.key_lifetime, opened.store.now()
            known, key = self._registry.definitions, idempotency_key
            run = new_call(definition, config, scheduled_time, key=key, now=now, key_lifetime=lifetime, known=known)
            await opened.configs.check_call(definition, run.config)
            if wait and not opened.node.in_handler:
                return RunResult.of(await opened.run_to_end(run))
            answer = await opened.node.enqueue(run, claim=wait)
        except REFUSALS as error:
            note_refusal(error, job, self.metrics, self._open)
            raise
        record = answer.claimed or answer.record
        if wait and (record is None or not record.state.terminal):
            record = await opened.node.waiting(opened.waiters.wait(answer.run_id, look=answer.outcome == "existing"))
        if record is None:
            record = await opened.store.run(answer.run_id)
        if record is None:
            raise UnknownRunError(run_id=answer.run_id)
        return RunResult.of(record)

    async def cancel(self, run_id: str) -> RunRecord | None:
        """Cancel a run: at once when nobody runs it, else its handler is told; None for an unknown run."""
        opened = await self.open()
        record = await opened.store.cancel(run_id)
        if record is not None:
            opened.node.stop_run(run_id)
            opened.waiters.ended(record)
        return record

    def __repr__(self) -> str:
        state = "closed" if self._open is None else f"open, {self._open.node.running_count} running"
        return f"<JobApp {self.label!r} {state}, {len(self.jobs)} jobs>"
