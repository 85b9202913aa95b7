"""JobApp: the jobs of one program, as a service or on its own.

Started by an entrypoint it schedules and runs. Asked for a run outside of one, it opens store and runner (never
the scheduler) on the running loop and closes them with that loop: an async generator that the loop closes on
its way out does it, so that a plain `asyncio.run(main())` leaves nothing behind.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Unpack  # Any: handlers and values have any type

from mainspring.base import current_clock, encode_json, from_us, new_id, to_us
from mainspring.concurrency import ThreadPoolExecutor, WorkerPool
from mainspring.errors import ClosedError, InvalidArgumentError, UnknownBackfillError
from mainspring.jobs.engine._backfill import Backfill
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._parts import OpenApp
from mainspring.jobs.engine._planner import walk
from mainspring.jobs.engine._registry import Handler, JobKeywords, JobOptions, Registry
from mainspring.jobs.engine._results import RunResult
from mainspring.jobs.engine._store_url import make_store, spool_folder
from mainspring.jobs.model import (
    DataInterval,
    PlannedFire,
    RangeSet,
    RunState,
    check_needs,
    plan_fires,
    to_instant,
)
from mainspring.jobs.stores import (
    BackfillRow,
    BackfillState,
    JobStore,
    NewRun,
    RunFilter,
    RunKind,
    RunRecord,
)
from mainspring.runtime import Provider, ResourceContainer, Service
from mainspring.sinks import Delivery, SinkSet
from mainspring.storage import Durability

P = ParamSpec("P")
T = TypeVar("T")
Job = str | Callable[..., Any]

_KEY_LIFETIME = timedelta(days=7)


class JobApp(Service):
    """Registers jobs, runs them, and answers for what they did.

    Two apps share no jobs, runs or configuration, unless they open the same store. All methods belong to the
    loop on which the app is open.

    Args:
        label: the app's name, as logs and lists show it.
        store: `sqlite:///file` or a path; by default `MAINSPRING_STORE`, else `mainspring.db` in the state
            directory (`MAINSPRING_STATE_DIR`, default `./.mainspring`).
        durability: what an answered call survives: "memory", "process" (kill -9), "disk" (a power cut).
        slots: handlers that may run at once on the loop.
        queues: the queues whose runs this app takes.
        poll_interval: seconds between looks at what other processes changed, > 0.
        drain_timeout: seconds that running handlers get at shutdown before their runs are handed back.
        schedule: False for an app that only runs what others create.
    """

    def __init__(
        self,
        label: str = "default",
        *,
        store: JobStore | str | Path | None = None,
        durability: Durability = "disk",
        slots: int = 10_000,
        queues: Sequence[str] = ("default",),
        poll_interval: float = 2.0,
        drain_timeout: float = 10.0,
        cancel_grace: float = 5.0,
        schedule: bool = True,
    ) -> None:
        super().__init__()
        if slots < 1:
            raise InvalidArgumentError(argument="slots", value=slots, expected="an int >= 1")
        if poll_interval <= 0:
            raise InvalidArgumentError(argument="poll_interval", value=poll_interval, expected="seconds > 0")
        self.label = label
        self._store_given = store
        self._durability: Durability = durability
        self._slots, self._queues, self._poll_interval = slots, tuple(queues), poll_interval
        self._drain_timeout, self._cancel_grace, self._schedule = drain_timeout, cancel_grace, schedule
        self._registry = Registry()
        self._names: dict[str, Provider] = {}
        self._overrides: list[tuple[Provider, Provider]] = []
        self._sinks: list[tuple[object, tuple[type, ...], str | None, Delivery | None]] = []
        self._open: OpenApp | None = None
        self._opening = asyncio.Lock()
        self._guard: AsyncGenerator[None, None] | None = None
        self._workers: WorkerPool | None = None
        self._workers_lock = asyncio.Lock()

    # --- what the program declares ---

    def job(self, job_id: str | None = None, **options: Unpack[JobKeywords]) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job and return it unchanged.

        `job_id` defaults to the function's qualified name; `JobKeywords` lists the options.

        Raises:
            JobDefinitionError: an option is wrong or the id is taken; names file and line.
        """

        def register(function: Handler) -> Handler:
            self._registry.add(function, JobOptions(job_id, options))
            return function

        return register

    def resource(self, provider: Handler) -> Handler:
        """Offer a factory or Resource class to every job of this app, by its name; usable bare only."""
        self._names[provider.__name__] = provider
        return provider

    def sink(
        self, *types: type, sink: object = None, name: str | None = None, delivery: Delivery | None = None
    ) -> Callable[[T], T]:
        """Send items of these types, from any job of this app, to `sink`, or to what is decorated.

        Decorate an async function of a list of items, or a class of sinks that is made without arguments. A
        `TypedSink` brings its own types; a sink without types is reached by its name.
        """

        def register(decorated: T) -> T:
            made = decorated() if isinstance(decorated, type) else decorated
            self._sinks.append((made, types, name, delivery))
            return decorated

        if sink is not None:
            self._sinks.append((sink, types, name, delivery))
        return register

    def override(self, provider: Provider, replacement: Provider) -> None:
        """Use `replacement` wherever `provider` is asked for; for tests, before the app is opened."""
        self._overrides.append((provider, replacement))

    @property
    def jobs(self) -> Mapping[str, JobDefinition]:
        """The registered jobs by id."""
        return self._registry.definitions

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

    async def open(self) -> OpenApp:
        """Open store and runner on the running loop, once; whoever opened it outside an entrypoint closes it.

        Raises:
            StorageError: the store cannot be opened; the message says why.
            NeedsError: jobs need unknown jobs, or one another in a circle.
        """
        loop = asyncio.get_running_loop()
        if self._open is not None and self._open.loop is loop:
            return self._open
        if self._open is not None and not self._open.loop.is_closed():
            raise InvalidArgumentError(argument="loop", value=loop, expected="the loop on which the app is open")
        self._opening = asyncio.Lock() if self._open is not None else self._opening
        self._open = None if self._open is None or self._open.loop is not loop else self._open
        async with self._opening:
            if self._open is None:
                self._open = await self._open_parts()
            return self._open

    async def close(self) -> None:
        """Let running handlers end (for `drain_timeout` seconds), then leave no task, thread or descriptor."""
        opened, self._open = self._open, None
        workers, self._workers = self._workers, None
        if opened is not None:
            await opened.close(drain_timeout=self._drain_timeout)
        if workers is not None:
            await workers.close()
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()

    async def _open_parts(self) -> OpenApp:
        check_needs({one.job_id: (one.schedule, one.needs) for one in self.jobs.values()})
        store = make_store(self._store_given, durability=self._durability)
        container = ResourceContainer()
        for provider, replacement in self._overrides:
            container.override(provider, replacement)
        opened = OpenApp(
            self,
            store,
            self.jobs,
            self._names,
            self._sink_set(),
            container=container,
            slots=self._slots,
            queues=self._queues,
            poll_interval=self._poll_interval,
            cancel_grace=self._cancel_grace,
        )
        await store.open()
        try:
            await opened.start_runner()
        except BaseException:
            await opened.close(drain_timeout=0.0)
            raise
        self._guard = self._close_with_loop()
        await anext(self._guard)
        return opened

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        """Close the app when the loop shuts its async generators down."""
        try:
            yield
        finally:
            self._guard = None
            await self.close()

    def _sink_set(self) -> SinkSet:
        sinks = SinkSet(spool=spool_folder(self._store_given))
        for sink, types, name, delivery in self._sinks:
            sinks.add(sink, types=types, name=name, delivery=delivery)
        for job_id, definition in self.jobs.items():
            if definition.sink is not None:
                sinks.bind(f"job {job_id}", definition.sink)
        return sinks

    def _opened(self) -> OpenApp:
        if self._open is None:
            raise ClosedError(what=f"the app {self.label!r}", hint="await app.open() first")
        return self._open

    # --- what handlers use ---

    def thread_pool(self) -> ThreadPoolExecutor:
        """The threads in which plain functions run."""
        return self._opened().threads

    async def worker_pool(self) -> WorkerPool:
        """The worker processes for CPU work, started at the first use."""
        async with self._workers_lock:
            if self._workers is None:
                workers = WorkerPool(cancel_grace=self._cancel_grace)
                await workers.start()
                self._workers = workers
            return self._workers

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

        Each call is its own run; with an `idempotency_key` (kept 7 days) a second call gets the first one's.
        A handler's error does not raise here: it is in the result (`.check()` raises).

        Raises:
            UnknownJobError: the job is not registered.
            IdempotencyError: the key was used with other arguments.
            StorageError: the run could not be stored.
        """
        definition = self._registry[job]
        opened = await self.open()
        command = self._new_call(definition, config, scheduled_time, idempotency_key, opened)
        answer = await opened.node.enqueue(command, claim=wait)
        record = answer.claimed or answer.record
        if wait and (record is None or not record.state.terminal):
            record = await opened.waiters.wait(answer.run_id)
        if record is None:
            record = await opened.store.run(answer.run_id)
        if record is None:
            raise InvalidArgumentError(argument="run", value=answer.run_id, expected="a run that is kept")
        return RunResult.of(record)

    def _new_call(
        self,
        definition: JobDefinition,
        config: Mapping[str, object] | None,
        scheduled_time: datetime | None,
        key: str | None,
        opened: OpenApp,
    ) -> NewRun:
        now = opened.store.now()
        encoded = None if config is None else encode_json(dict(config))
        at = now if scheduled_time is None else to_us(scheduled_time)
        hashed = None
        if key is not None:
            text = b"\0".join((definition.job_id.encode(), encoded or b"", str(scheduled_time).encode()))
            hashed = hashlib.blake2b(text, digest_size=16).digest()
        return NewRun(
            run_id=new_id(),
            job_id=definition.job_id,
            kind=RunKind.MANUAL,
            available_at=now,
            scheduled_at=at,
            queue=definition.queue,
            priority=definition.priority,
            config=encoded,
            idempotency_key=key,
            arguments_hash=hashed,
            key_expires_at=None if key is None else now + int(_KEY_LIFETIME.total_seconds() * 1e6),
        )

    async def cancel(self, run_id: str) -> RunRecord | None:
        """Cancel a run: at once when nobody runs it, else its handler is told; None for an unknown run."""
        opened = await self.open()
        record = await opened.store.cancel(run_id)
        if record is not None:
            opened.node.stop_run(run_id)
            opened.waiters.ended(record)
        return record

    async def run(self, run_id: str) -> RunRecord | None:
        """Return one run by its id, or an unambiguous beginning of it."""
        return await (await self.open()).store.run(run_id)

    async def runs(
        self,
        job: Job | None = None,
        *,
        states: Sequence[RunState] = (),
        backfill_id: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[RunRecord]:
        """List runs, newest first; `before` is the last run id seen."""
        opened = await self.open()
        which = RunFilter(
            job_id=None if job is None else self._id_of(job),
            states=frozenset(states),
            backfill_id=backfill_id,
            before=before,
            limit=limit,
        )
        return await opened.store.runs(which)

    # --- intervals ---

    async def backfill(
        self,
        job: Job,
        start: datetime | date | str,
        end: datetime | date | str,
        *,
        reprocess: Literal["missing", "failed", "all"] = "missing",
        order: Literal["asc", "desc"] = "asc",
        max_parallel: int = 8,
        on_failure: Literal["continue", "stop"] = "continue",
        config: Mapping[str, object] | None = None,
    ) -> Backfill:
        """Run the intervals of a job between two instants; durable, and lazily made.

        Ends are aware datetimes or dates (midnight in the job's zone).

        Raises:
            InvalidArgumentError: start is not before end, a naive datetime, or a job without intervals.
        """
        definition = self._registry[job]
        low, high = self.interval_range(definition, start, end)
        if max_parallel < 1:
            raise InvalidArgumentError(argument="max_parallel", value=max_parallel, expected="an int >= 1")
        opened = await self.open()
        total, exact = self.count_intervals(definition.job_id, low, high)
        row = BackfillRow(
            backfill_id=new_id(),
            job_id=definition.job_id,
            start=to_us(low),
            end=to_us(high),
            cursor=to_us(low if order == "asc" else high),
            order=order,
            reprocess=reprocess,
            max_parallel=max_parallel,
            on_failure=on_failure,
            total=total,
            total_exact=exact,
            created_at=opened.store.now(),
            config=None if config is None else encode_json(dict(config)),
        )
        await opened.store.create_backfill(row)
        opened.planner.changed()
        return Backfill(self, row)

    def count_intervals(self, job: Job, start: datetime, end: datetime) -> tuple[int, bool]:
        """Return (number of whole intervals between two instants, whether it is exact)."""
        schedule = self._registry[job].schedule
        return (0, True) if schedule is None else schedule.count(start, end)

    def intervals(self, job: Job, start: datetime | date | str, end: datetime | date | str) -> Sequence[DataInterval]:
        """List the intervals that a backfill over this range would run."""
        definition = self._registry[job]
        low, high = self.interval_range(definition, start, end)
        return list(walk(definition, [(to_us(low), to_us(high))], "asc"))

    def interval_range(
        self, definition: JobDefinition, start: datetime | date | str, end: datetime | date | str
    ) -> tuple[datetime, datetime]:
        """Return the two ends of a range of a job's intervals as instants.

        Raises:
            InvalidArgumentError: the job has no intervals, an end is naive, or start is not before end.
        """
        if definition.schedule is None or not definition.schedule.has_intervals:
            raise InvalidArgumentError(
                argument="job", value=definition.job_id, expected="a job with a cron or every schedule"
            )
        low, high = to_instant(start, definition.timezone), to_instant(end, definition.timezone)
        if low >= high:
            raise InvalidArgumentError(argument="start", value=start, expected=f"an instant before end={end!r}")
        return low, high

    async def backfill_by_id(self, backfill_id: str) -> Backfill:
        """Return the handle of a stored backfill.

        Raises:
            UnknownBackfillError: there is none of this id.
        """
        row = await (await self.open()).store.backfill(backfill_id)
        if row is None:
            raise UnknownBackfillError(backfill_id=backfill_id)
        return Backfill(self, row)

    async def set_backfill_state(self, backfill_id: str, state: BackfillState) -> BackfillRow:
        """Pause, resume or cancel a backfill."""
        opened = await self.open()
        row = await opened.store.set_backfill_state(backfill_id, state)
        opened.planner.changed()
        opened.node.wake()
        return row

    def next_backfill_change(self) -> "asyncio.Future[None]":
        """Return the future that is resolved after the next look at the backfills; shared, so shield it."""
        return self._opened().planner.next_change()

    async def watermark(self, job: Job) -> datetime | None:
        """Return the end of the unbroken beginning of what is done (succeeded or skipped); None without any."""
        opened = await self.open()
        done = await opened.store.done(self._id_of(job), _FIRST, _LAST)
        settled = RangeSet((one.start, one.end) for one in done if one.state != "failed")
        first = next(iter(settled), None)
        return None if first is None else from_us(first[1])

    async def gaps(self, job: Job) -> Sequence[tuple[datetime, datetime]]:
        """Return the ranges that did not succeed, between the first and the last that is known."""
        opened = await self.open()
        done = list(await opened.store.done(self._id_of(job), _FIRST, _LAST))
        if not done:
            return []
        succeeded = RangeSet((one.start, one.end) for one in done if one.state == "succeeded")
        low, high = min(one.start for one in done), max(one.end for one in done)
        return [(from_us(start), from_us(end)) for start, end in succeeded.gaps(low, high)]

    def plan(self, job: Job, *, after: datetime | None = None, count: int = 5) -> Sequence[PlannedFire]:
        """Return a job's next fire times with their intervals and what the zone does around them."""
        schedule = self._registry[job].schedule
        return [] if schedule is None else plan_fires(schedule, after or current_clock().now(), count)

    def _id_of(self, job: Job) -> str:
        return self._registry[job].job_id

    def __repr__(self) -> str:
        state = "closed" if self._open is None else f"open, {self._open.node.running_count} running"
        return f"<JobApp {self.label!r} {state}, {len(self.jobs)} jobs>"


_FIRST, _LAST = -(2**62), 2**62
