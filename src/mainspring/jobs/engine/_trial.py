"""One handler, run without a store: what `mainspring.testing.run_job` does.

Resources, config, context, log and the ways to the sinks are the engine's own; in the place of each sink stands one
that notes what it gets, and refuses what the sink would, by its own collector. There is one attempt, and neither
limiter nor time limit. Worker processes are threads here, but what goes into them and comes out is pickled all the
same.
"""

import asyncio
import inspect
import pickle
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, ParamSpec, TypeVar  # Any: items and values have any type

from msgspec.structs import replace

from mainspring.base import current_clock, new_id
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._app import JobApp
from mainspring.jobs.engine._calling import SUPPLY
from mainspring.jobs.engine._capture import LogTail, hear, install_capture, remove_capture
from mainspring.jobs.engine._configs import check_config
from mainspring.jobs.engine._context import JobContext
from mainspring.jobs.engine._declarations import Job
from mainspring.jobs.engine._default import job_runner
from mainspring.jobs.engine._definition import SUPPLIED, JobDefinition, place_of
from mainspring.jobs.engine._handler import HandlerThreads, call_handler
from mainspring.jobs.engine._parts import supplied_names
from mainspring.jobs.engine._registry import JobOptions
from mainspring.jobs.model import DataInterval, LogLine, effective_config
from mainspring.runtime import ResourceContainer
from mainspring.sinks import Collector, PlacedSink, SinkRun, SinkSet, is_placed, label_of, trial_collector
from mainspring.tools import items_of, without_secrets

P = ParamSpec("P")
T = TypeVar("T")

_GRACE: Final = 5.0  # seconds that a handler in a thread gets to notice that its test gave up


@dataclass(frozen=True, slots=True)
class EmittedItem:
    """An item that a handler yielded or emitted; `sink` is the name of the sink that it went to."""

    item: Any
    key: str | None
    sink: str


@dataclass(frozen=True, slots=True)
class HandlerResult:
    """What a handler did in `mainspring.testing.run_job`.

    Attributes:
        value: what it returned.
        emitted: what it yielded or emitted, in order, with keys and sinks.
        log: what it logged.
    """

    value: Any
    emitted: tuple[EmittedItem, ...]
    log: tuple[LogLine, ...]

    @property
    def items(self) -> list[Any]:
        """The items alone."""
        return [one.item for one in self.emitted]


class _Notebook:
    """Stands for a sink: refuses what the sink would refuse, and notes the rest.

    Args:
        folder: where a sink of files may write; asked when it does.
    """

    def __init__(self, label: str, sink: object, emitted: list[EmittedItem], folder: Callable[[], Path]) -> None:
        self.label = label
        self._sink = sink
        self._emitted = emitted
        self._folder = folder

    def collect(self, run: SinkRun, threads: ThreadPoolExecutor) -> "_Notes":
        """Return the collector of the one run."""
        return _Notes(self.label, trial_collector(self._sink, run, threads, self._folder), self._emitted)


class _PlacedNotebook(_Notebook):
    """Stands for a sink that knows its place: one that replaces has it for itself."""

    _sink: PlacedSink

    @property
    def replaces(self) -> bool:
        """As the sink says."""
        return self._sink.replaces

    def place(self, run: SinkRun | None) -> Hashable:
        """Return that of the sink."""
        return self._sink.place(run)


class _Notes:
    """Collects for a notebook, through what takes items as the sink's own collector does, if it has one."""

    def __init__(self, label: str, through: Collector | None, emitted: list[EmittedItem]) -> None:
        self.count = 0
        self._label = label
        self._through = through
        self._emitted = emitted

    def take(self, item: object, key: str | None) -> bool:
        """Note an item."""
        full = self._through is not None and self._through.take(item, key)
        self._emitted.append(EmittedItem(item, key, self._label))
        self.count += 1
        return full

    async def relieve(self) -> None:
        """Do as the sink."""
        if self._through is not None:
            await self._through.relieve()

    async def finish(self) -> None:
        """Do as the sink, and throw the result away."""
        if self._through is not None:
            await self._through.finish()

    async def discard(self) -> None:
        """Leave nothing open."""
        if self._through is not None:
            await self._through.discard()


class _ThreadWorkers:
    """Threads in the place of worker processes; what goes in and comes out is pickled."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    def create_task(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a function."""
        return self._threads.run(_as_in_a_worker, pickle.dumps((function, args, kwargs)))


def _as_in_a_worker(pickled: bytes) -> Any:  # Any: the function's result
    function, args, kwargs = pickle.loads(pickled)
    return pickle.loads(pickle.dumps(function(*args, **kwargs)))


class _TrialContext(JobContext):
    """A context whose worker processes are threads."""

    __slots__ = ("workers",)

    workers: _ThreadWorkers

    def cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a function in a thread, with pickled arguments and result."""
        return self.workers.create_task(function, *args, **kwargs)


async def try_handler(
    handler: Job,
    *,
    interval: DataInterval | tuple[datetime, datetime] | None,
    config: Mapping[str, object] | None,
    overrides: Mapping[Any, object] | None,
    app: JobApp | None,
    attempt: int,
) -> HandlerResult:
    """Run one handler; see `mainspring.testing.run_job`."""
    owner, definition = _find(handler, app)
    trial = _Trial(owner, definition, overrides or {})
    return await trial.run(_interval_of(interval, definition), config, attempt)


def _find(handler: Job, app: JobApp | None) -> tuple[JobApp, JobDefinition]:
    """Return the job of a handler, with its app; one that no app knows is a job without options."""
    if app is not None:
        return app, app.definition(handler)
    if isinstance(handler, str) or any(one.function == handler for one in job_runner.jobs.values()):
        return job_runner, job_runner.definition(handler)
    options = JobOptions(None, {})
    job_id = str(getattr(handler, "__qualname__", repr(handler)))
    return JobApp("test", store="memory"), options.build(handler, job_id=job_id, place=place_of(handler))


def _interval_of(
    interval: DataInterval | tuple[datetime, datetime] | None, definition: JobDefinition
) -> DataInterval | None:
    if interval is None or isinstance(interval, DataInterval):
        return interval
    ends = [one for one in items_of(interval) if isinstance(one, datetime)]
    if len(ends) != 2 or len(items_of(interval)) != 2:
        expected = "a DataInterval, or its two ends as aware datetimes"
        raise InvalidArgumentError(argument="interval", value=interval, expected=expected)
    start, end = ends
    return DataInterval(start, end, definition.timezone)


class _Trial:
    """One run of one handler.

    Args:
        overrides: values by parameter name, and replacements by provider.
    """

    def __init__(self, app: JobApp, definition: JobDefinition, overrides: Mapping[Any, object]) -> None:
        self._app = app
        self._definition = definition
        self._given = {name: value for name, value in overrides.items() if isinstance(name, str)}
        self._replaced = [(one, other) for one, other in overrides.items() if not isinstance(one, str)]
        known = inspect.signature(definition.function).parameters
        unknown = [name for name in self._given if name not in known]
        if unknown:
            expected = f"providers, or parameters of {definition.job_id}: {', '.join(known)}"
            raise InvalidArgumentError(argument="overrides", value=unknown[0], expected=expected)
        self._emitted: list[EmittedItem] = []
        self._tail = LogTail()

    async def run(
        self, interval: DataInterval | None, config: Mapping[str, object] | None, attempt: int
    ) -> HandlerResult:
        """Run the handler in a task of its own, whose lines are told from those of others."""
        async with AsyncExitStack() as stack:
            resources = ResourceContainer()
            stack.push_async_callback(resources.close)
            threads = ThreadPoolExecutor(statistic_name="run_job")
            stack.callback(threads.shutdown)
            install_capture()
            stack.callback(remove_capture)
            sinks, own = self._sinks(partial(_temporary, stack))
            stack.push_async_callback(sinks.close)
            ctx = self._context(interval, config, attempt, sinks, own)
            ctx.workers = _ThreadWorkers(threads)
            value = await asyncio.create_task(self._call(ctx, resources, threads), name="run-job")
        return HandlerResult(value, tuple(self._emitted), self._lines(ctx))

    def _lines(self, ctx: _TrialContext) -> tuple[LogLine, ...]:
        """Return what was logged, as a run's record has it: without secrets."""
        log = self._tail.log()
        if log is None:
            return ()
        self._tail.conceal(ctx.config, self._definition.hides)  # there may be more in it since
        secrets = self._tail.secrets()
        return tuple(replace(one, message=without_secrets(one.message, secrets)) for one in log.lines)

    async def _call(self, ctx: _TrialContext, resources: ResourceContainer, threads: ThreadPoolExecutor) -> object:
        hear(self._tail)
        try:
            value = await self._handled(ctx, resources, threads)
            if ctx.used_session is not None:
                await ctx.used_session.finish()  # what is emitted later is refused, as in a run
            return value
        finally:
            if ctx.used_session is not None:
                await ctx.used_session.discard()

    async def _handled(self, ctx: _TrialContext, resources: ResourceContainer, threads: ThreadPoolExecutor) -> object:
        definition = self._definition
        for provider, replacement in (*self._app.overrides, *self._replaced):
            resources.override(provider, replacement)
        names = {**self._app.resource_names, **definition.names}
        binding = resources.bind(definition.function, names=names, supplied=SUPPLIED | self._given.keys())
        async with binding.enter(ctx) as entered:
            arguments = {name: SUPPLY[name](ctx) for name in supplied_names(definition)} | self._given | entered
            if definition.runs_in == "process":
                return await call_handler(definition, arguments, ctx, workers=ctx.workers)
            return await call_handler(definition, arguments, ctx, threads=HandlerThreads(threads, _GRACE))

    def _context(
        self,
        interval: DataInterval | None,
        config: Mapping[str, object] | None,
        attempt: int,
        sinks: SinkSet,
        own: _Notebook | None,
    ) -> _TrialContext:
        definition = self._definition
        scheduled_at = current_clock().now() if interval is None else interval.end
        run = SinkRun(
            run_id=new_id(),
            job_id=definition.job_id,
            fence=1,
            attempt=attempt,
            scheduled_at=scheduled_at,
            interval_start=None if interval is None else interval.start,
            interval_end=None if interval is None else interval.end,
        )
        values = effective_config(declared=definition.config, call=config)
        self._tail.conceal(values, definition.hides)
        return _TrialContext(
            app=self._app,
            run_id=run.run_id,
            job_id=run.job_id,
            scheduled_at=scheduled_at,
            data_interval=interval,
            attempt=attempt,
            config=values,
            instance=check_config(definition, values, None),
            takes_instance=definition.takes_instance,
            fence=run.fence,
            deadline_at=None,
            open_session=partial(sinks.session, run, default=own, deterministic=definition.deterministic),
            loop=asyncio.get_running_loop(),
            tail=self._tail,
        )

    def _sinks(self, folder: Callable[[], Path]) -> tuple[SinkSet, _Notebook | None]:
        """Return notebooks in the place of the app's sinks, and the one of the job's own sink."""
        sinks = SinkSet()
        for label, sink, types in self._app.declared_sinks:
            sinks.add(self._notebook(label, sink, folder), types=types, name=label)
        own = self._definition.sink
        if own is None and self._app.declared_sinks:
            return sinks, None  # items find their way by type or name, or are refused
        label = f"job {self._definition.job_id}" if own is None else label_of(own)
        return sinks, self._notebook(label, own, folder)

    def _notebook(self, label: str, sink: object, folder: Callable[[], Path]) -> _Notebook:
        kind = _PlacedNotebook if is_placed(sink) else _Notebook
        return kind(label, sink, self._emitted, folder)


def _temporary(stack: AsyncExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory(prefix="mainspring-run-job-")))
