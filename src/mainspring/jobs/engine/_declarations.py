"""What a program declares of its jobs, and what follows from it without any store: fire times and intervals."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, Unpack  # Any: handlers have any signature

from mainspring.base import current_clock, to_us
from mainspring.errors import InvalidArgumentError, JobDefinitionError
from mainspring.jobs.engine._definition import JobDefinition, place_of
from mainspring.jobs.engine._planner import walk
from mainspring.jobs.engine._registry import Handler, JobKeywords, JobOptions, Registry
from mainspring.jobs.model import DataInterval, PlannedFire, plan_fires, to_instant
from mainspring.runtime import Provider
from mainspring.sinks import SPOOL_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.sinks import Delivery, SinkSet

T = TypeVar("T")

Job = str | Callable[..., Any]
"""A job as callers name it: its id, or its function."""


class Declarations:
    """The declaring half of a `JobApp`."""

    def __init__(self) -> None:
        self._registry = Registry()
        self._names: dict[str, Provider] = {}
        self._overrides: list[tuple[Provider, Provider]] = []
        self._sinks: list[tuple[object, tuple[type, ...], str | None, Delivery | None]] = []
        self._sink_overrides: dict[str, object] = {}

    def job(self, job_id: str | None = None, **options: Unpack[JobKeywords]) -> Callable[[Handler], Handler]:
        """Register the decorated function as a job and return it unchanged.

        `job_id` defaults to the function's qualified name; `JobKeywords` lists the options.

        Raises:
            JobDefinitionError: an option is wrong or the id is taken; names file and line.
        """

        misused: object = job_id
        if callable(misused):
            raise JobDefinitionError(
                job_id=getattr(misused, "__qualname__", "?"),
                place=place_of(misused),
                problem="the decorator stands without its brackets, so the job would not be registered",
                hint="write @app.job() instead of @app.job",
            )

        def register(function: Handler) -> Handler:
            self._registry.add(function, JobOptions(job_id, options))
            return function

        return register

    def resource(self, provider: Handler) -> Handler:
        """Offer a factory or Resource class to every job of this app, by its name; usable bare only."""
        self._names[provider.__name__] = provider
        return provider

    def sink(
        self, *types: type, sink: object = None, name: str | None = None, delivery: "Delivery | None" = None
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

    def override_sink(self, name: str, replacement: object) -> None:
        """Send what is meant for the sink of this name to `replacement`; for tests, before the app is opened.

        Opening the app raises `UnknownSinkError` when no sink has the name.
        """
        self._sink_overrides[name] = replacement

    @property
    def jobs(self) -> Mapping[str, JobDefinition]:
        """The registered jobs by id."""
        return self._registry.definitions

    def definition(self, job: Job) -> JobDefinition:
        """Return a job by its id or its function.

        Raises:
            UnknownJobError: it is not registered here.
        """
        return self._registry[job]

    @property
    def overrides(self) -> Sequence[tuple[Provider, Provider]]:
        """What `override` put in the place of what."""
        return self._overrides

    @property
    def declared_sinks(self) -> Sequence[tuple[str, object, tuple[type, ...]]]:
        """The sinks of the app: name, sink, and the types that it takes."""
        from mainspring.sinks import TypedSink, label_of

        return [
            (name or label_of(sink), sink, types or (sink.types if isinstance(sink, TypedSink) else ()))
            for sink, types, name, _ in self._sinks
        ]

    @property
    def resource_names(self) -> Mapping[str, Provider]:
        """What `@app.resource` offered, by name."""
        return self._names

    def sink_set(self, *, spool: "Path", spool_bytes: int = SPOOL_BYTES) -> "SinkSet":
        """Return a new set of the declared sinks; items that one does not take wait in the folder `spool`."""
        from mainspring.sinks import SinkSet

        sinks = SinkSet(spool=spool, spool_bytes=spool_bytes)
        for sink, types, name, delivery in self._sinks:
            sinks.add(sink, types=types, name=name, delivery=delivery)
        for job_id, definition in self.jobs.items():
            if definition.sink is not None:
                sinks.bind(f"job {job_id}", definition.sink)
        for name, replacement in self._sink_overrides.items():
            sinks.override(name, replacement)
        return sinks

    def plan(self, job: Job, *, after: datetime | None = None, count: int = 5) -> Sequence[PlannedFire]:
        """Return a job's next fire times with their intervals and what the zone does around them."""
        schedule = self._registry[job].schedule
        return [] if schedule is None else plan_fires(schedule, after or current_clock().now(), count)

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
        """Return the two ends of a range of a job's intervals as instants; what ends there at the latest is due.

        Raises:
            InvalidArgumentError: the job has no intervals, an end is naive, or start is not before end, or nothing
                from start on is due yet: what is not due may lack data.
        """
        if definition.schedule is None or not definition.schedule.has_intervals:
            raise InvalidArgumentError(
                argument="job", value=definition.job_id, expected="a job with a cron or every schedule"
            )
        low = to_instant(start, definition.timezone, argument="start")
        high = to_instant(end, definition.timezone, argument="end")
        if low >= high:
            raise InvalidArgumentError(argument="start", value=start, expected=f"an instant before end={end!r}")
        due = current_clock().now() - timedelta(seconds=definition.delay)
        if low >= due:
            ago = f"longer ago than the delay of {definition.delay:g} s" if definition.delay else "in the past"
            expected = f"an instant {ago}; what is not due yet is left to the schedule"
            raise InvalidArgumentError(argument="start", value=start, expected=expected)
        return low, min(high, due)
