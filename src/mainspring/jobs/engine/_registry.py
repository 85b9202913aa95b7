"""The `@job` decorator: every option checked where it is written, one registry per app."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, TypeVar  # Any: handlers have any signature

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError, JobDefinitionError, MainspringError, UnknownJobError
from mainspring.jobs.engine._alert import Alerting, check_alert
from mainspring.jobs.engine._definition import (
    Executor,
    JobDefinition,
    Overlap,
    check_executor,
    form_of,
    need_list,
    place_of,
    retry_policy,
)
from mainspring.jobs.engine._mixtures import refuse_idle, refuse_mixtures
from mainspring.jobs.engine._option_values import check_id, check_values
from mainspring.jobs.model import (
    ON_TIME,
    At,
    ConfigSchema,
    Cron,
    Every,
    Need,
    Schedule,
    missed_lookback,
    missed_policy,
)
from mainspring.resilience import Limiter
from mainspring.runtime import Provider

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Registry:
    """The jobs of one app, by id, in the order of their definition."""

    def __init__(self) -> None:
        self.definitions: dict[str, JobDefinition] = {}
        self.declared: dict[str, JobDefinition] = {}  # as the code has them, whatever schedule is put over

    def __getitem__(self, job: str | Callable[..., Any]) -> JobDefinition:
        """Return a job by its id or its function.

        Raises:
            UnknownJobError: it is not registered here.
            InvalidArgumentError: the function is that of several jobs.
        """
        if isinstance(job, str):
            named = self.definitions.get(job)
            found = [] if named is None else [named]
        else:
            found = [one for one in self.definitions.values() if one.function == job]
        if len(found) == 1:
            return found[0]
        name = job if isinstance(job, str) else _own_name(job)
        if not found:
            raise UnknownJobError(job_id=name, known=tuple(self.definitions))
        ids = ", ".join(repr(one.job_id) for one in found)
        raise InvalidArgumentError(argument="job", value=name, expected=f"an id, since its jobs are several: {ids}")

    def add(self, function: Callable[..., Any], options: "JobOptions") -> JobDefinition:
        """Check and register one job.

        Raises:
            JobDefinitionError: an option is wrong, or the id is taken; names file and line.
        """
        place = place_of(function)
        job_id = _own_name(function) if options.job_id is None else options.job_id
        try:
            definition = options.build(function, job_id=job_id, place=place, id_of=lambda job: self[job].job_id)
        except JobDefinitionError:
            raise
        except MainspringError as error:
            raise JobDefinitionError(job_id=job_id, place=place, problem=str(error), hint=error.hint) from error
        taken = self.definitions.get(job_id)
        if taken is not None:
            problem = f"the id is taken by the job at {taken.place}"
            raise JobDefinitionError(job_id=job_id, place=place, problem=problem, hint="give one of them a job_id")
        self._refuse_unequal(definition)
        self.definitions[job_id] = self.declared[job_id] = definition
        return definition

    def _refuse_unequal(self, new: JobDefinition) -> None:
        """Refuse another number under a shared key: the job with the lower one might wait for ever beside the other."""
        if new.concurrency_key is None:
            return
        for job_id, other in self.declared.items():
            if other.concurrency_key == new.concurrency_key and other.max_instances != new.max_instances:
                problem = (
                    f"max_instances={new.max_instances} with concurrency_key={new.concurrency_key!r}, under which "
                    f"the job {job_id!r} at {other.place} has max_instances={other.max_instances}"
                )
                hint = f"give each job of the key the same number, as max_instances={other.max_instances}"
                raise JobDefinitionError(job_id=new.job_id, place=new.place, problem=problem, hint=hint)

    def override(self, job_id: str, schedule: Schedule | None, *, unscheduled: bool = False) -> JobDefinition:
        """Let a job go by another schedule, or with None by that of its code, or by none; return it."""
        declared = self.declared[job_id]
        definition = declared if schedule is None and not unscheduled else replace(declared, schedule=schedule)
        self.definitions[job_id] = definition
        return definition


class JobKeywords(TypedDict, total=False):
    """The options of `@job`; durations are seconds, and every default is that of `JobDefinition`.

    cron, every, at: the schedule, at most one of them; `timezone` is the zone of its wall clock.
    start_at: where a new job's intervals begin; without it nothing before the first registration is run.
    delay: how long after its interval's end a run starts. jitter: spreads that over as many seconds.
    missed: "all", "latest", "merge" or "skip"; max_lookback bounds how far back. The words of piko
        (misfire_grace_time, coalesce, stateful, backfill_policy) are translated to it. Under "skip",
        misfire_grace_time is how late a fire may be and still run, 60 s when it is not given.
    config: the job's own configuration. schema: its type (a msgspec Struct, a dataclass, a pydantic model): no config
        that does not fit is stored or run with, and a handler that annotates its `config` with it gets an instance.
    sink: where its items go: what it yields, emits through ctx, or returns as a list from a worker process.
    resources: providers by parameter name.
    needs: jobs (their ids, their functions, or a `Need`) whose intervals must cover a run's interval before it starts.
    retry: a Backoff, or N retries after the first failure. timeout: of one attempt. limiter: admits attempts.
    depends_on_past: a run waits until the interval before its own has succeeded or was skipped.
    max_instances: scheduled runs at once; concurrency_key shares it between jobs, which all say the same number. At
        the limit a run whose time has come waits under overlap "queue", and is skipped under "skip"; "allow" lifts it.
        These three, and all about time, are refused for a job without a schedule: they would do nothing.
    priority: higher goes first. queue: which nodes take it.
    executor: "loop", "thread", "process", or a pool: a WorkerPool (the app starts and closes it, unless it runs), a
        ThreadPoolExecutor or a ProcessPoolExecutor (its owner closes it), those of the standard library too.
    cancel_grace: as that of the app, for this job. A function in a worker process is interrupted first, and its worker
        killed after that time; one in a process pool of the standard library cannot be reached.
    alert: told when a run has failed for good or is late: a function, async or not, that takes an `Alert`; a Notifier
        or an AlertChannel of one; or the name of a resource that is one of these. By default that of the app; False for
        a job of which nobody is told.
    sla: seconds after its fire time within which a scheduled run has to end; later it is late.
    deterministic: a repeated run emits the same items in the same order, so that each gets a key from its place.
    tags: for lists. was: earlier ids of this job, the oldest first.
    """

    cron: str | None
    every: float | None
    at: datetime | None
    timezone: str
    start_at: datetime | None
    delay: float
    jitter: float
    missed: Literal["all", "latest", "merge", "skip"] | None
    max_lookback: float | None
    misfire_grace_time: float | None
    coalesce: bool | None
    stateful: bool | None
    backfill_policy: str | None
    config: Mapping[str, object] | None
    schema: type[object] | None
    sink: object | None
    resources: Mapping[str, Provider] | None
    needs: Sequence[str | Need | Callable[..., Any]]
    depends_on_past: bool
    retry: Backoff | int | None
    timeout: float | None
    limiter: Limiter | None
    max_instances: int
    overlap: Overlap
    concurrency_key: str | None
    priority: int
    queue: str
    executor: Executor
    cancel_grace: float | None
    alert: Alerting | Literal[False] | None
    sla: float | None
    deterministic: bool
    tags: Sequence[str]
    was: Sequence[str]


_TAKEN_AS_THEY_ARE: Final = (
    "start_at",
    "delay",
    "jitter",
    "sink",
    "timeout",
    "limiter",
    "max_instances",
    "overlap",
    "concurrency_key",
    "priority",
    "queue",
    "deterministic",
    "depends_on_past",
    "cancel_grace",
    "alert",
    "sla",
)


_OTHER_WORDS: Final = {
    "interval": "write every=, in seconds",
    "seconds": "write every=, in seconds",
    "schedule": "write cron= or every=",
    "tz": "write timezone=",
    "name": "the id of a job is the first argument",
    "id": "the id of a job is the first argument",
}
"""What others call it."""


def _own_name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", repr(function)))


class JobOptions:
    """The options of one `@job`, as they were written."""

    def __init__(self, job_id: str | None, given: JobKeywords) -> None:
        self.job_id = job_id
        self._given = given

    def build(
        self,
        function: Callable[..., Any],
        *,
        job_id: str,
        place: str,
        id_of: Callable[[Callable[..., Any]], str] = _own_name,
    ) -> JobDefinition:
        """Make the definition; raises JobDefinitionError or InvalidArgumentError."""
        given = self._given
        unknown = sorted(given.keys() - JobKeywords.__annotations__.keys())
        if unknown:
            known = sorted(JobKeywords.__annotations__)
            raise InvalidArgumentError(
                argument="option",
                value=unknown[0],
                expected="an option of @job",
                known=known,
                hint=_OTHER_WORDS.get(unknown[0]),
            )
        check_id(job_id)
        form = form_of(function, job_id=job_id)
        if self.job_id is None and not hasattr(function, "__qualname__"):  # what repr() says is another in each process
            raise InvalidArgumentError(argument="job_id", value=None, expected="an id for a handler without a name")
        plain: dict[str, Any] = {name: value for name, value in given.items() if name in _TAKEN_AS_THEY_ARE}
        check_values(given)
        check_alert(None if given.get("alert") is False else given.get("alert"))
        refuse_idle(given)
        grace, schema = given.get("misfire_grace_time"), given.get("schema")
        definition = JobDefinition(
            job_id=job_id,
            function=function,
            form=form,
            place=place,
            schedule=make_schedule(
                cron=given.get("cron"),
                every=given.get("every"),
                at=given.get("at"),
                timezone=given.get("timezone", "UTC"),
            ),
            missed=missed_policy(
                given.get("missed"),
                coalesce=given.get("coalesce"),
                stateful=given.get("stateful"),
                backfill_policy=given.get("backfill_policy"),
            ),
            max_lookback=missed_lookback(given.get("max_lookback"), grace),
            grace=ON_TIME if grace is None else grace,
            config=dict(given.get("config") or {}),
            schema=None if schema is None else ConfigSchema(schema),
            names=dict(given.get("resources") or {}),
            retry=retry_policy(given.get("retry"), job_id=job_id, place=place),
            needs=need_list(given.get("needs", ()), id_of),
            executor=check_executor(given.get("executor", "loop"), form, job_id=job_id, place=place),
            tags=tuple(given.get("tags", ())),
            was=tuple(given.get("was", ())),
            **plain,
        )
        refuse_mixtures(definition, given)
        return definition


def make_schedule(*, cron: str | None, every: float | None, at: datetime | None, timezone: str) -> Schedule | None:
    """Return the schedule that the options mean, None without any.

    Raises:
        InvalidArgumentError: there is more than one, or it cannot be read.
    """
    named = [name for name, value in (("cron", cron), ("every", every), ("at", at)) if value is not None]
    if len(named) > 1:
        raise InvalidArgumentError(argument="schedule", value=" and ".join(named), expected="only one of them")
    if cron is not None:
        return Cron(cron, timezone)
    if every is not None:
        return Every(every, timezone=timezone)
    return None if at is None else At(at)
