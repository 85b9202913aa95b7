"""A job as the code declares it, checked once and for all at its decorator."""

import inspect
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast  # Any: handlers have any signature

from mainspring.base import Backoff
from mainspring.errors import JobDefinitionError
from mainspring.jobs.engine._alert import Alerting
from mainspring.jobs.model import ON_TIME, ConfigSchema, Missed, Need, RunState, Schedule
from mainspring.jobs.stores import job_key
from mainspring.resilience import Limiter
from mainspring.runtime import Provider
from mainspring.tools import is_secret

if TYPE_CHECKING:
    from mainspring.concurrency import AnyPool

HandlerFunction: TypeAlias = Callable[..., Any]

Place = Literal["loop", "thread", "process"]
Executor: TypeAlias = "Place | AnyPool"
_PLACES: Final = ("loop", "thread", "process")
Overlap = Literal["queue", "skip", "allow"]

SUPPLIED = frozenset({"ctx", "scheduled_time", "data_interval", "config"})
"""Parameters that the engine fills itself, by name; a handler takes those it wants."""


class HandlerForm(Enum):
    """How a handler is called."""

    COROUTINE = "async def"
    ASYNC_GENERATOR = "async generator"
    FUNCTION = "function"
    GENERATOR = "generator"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition:
    """One job. Durations are seconds."""

    job_id: str
    function: HandlerFunction
    form: HandlerForm
    place: str  # file:line of the handler
    schedule: Schedule | None = None
    delay: float = 0.0
    jitter: float = 0.0
    start_at: datetime | None = None
    missed: Missed = Missed.LATEST
    max_lookback: float | None = None
    grace: float = ON_TIME  # that a fire may be late under missed="skip"
    config: Mapping[str, object]
    schema: ConfigSchema | None = None
    sink: object | None = None
    names: Mapping[str, Provider]  # resources of this job by parameter name
    needs: tuple[Need, ...] = ()
    retry: Backoff | None = None
    timeout: float | None = None
    limiter: Limiter | None = None
    max_instances: int = 1
    overlap: Overlap = "queue"
    concurrency_key: str | None = None
    priority: int = 0
    queue: str = "default"
    executor: Executor = "loop"
    deterministic: bool = False
    tags: tuple[str, ...] = ()
    was: tuple[str, ...] = ()
    depends_on_past: bool = False
    cancel_grace: float | None = None
    alert: Alerting | Literal[False] | None = None  # None: that of the app
    sla: float | None = None

    @property
    def timezone(self) -> str:
        """The zone in which the job's days begin."""
        return "UTC" if self.schedule is None else self.schedule.timezone

    @property
    def first_state(self) -> RunState:
        """The state in which runs of this job are made."""
        return RunState.WAITING if self.needs or self.depends_on_past else RunState.AVAILABLE

    @property
    def limits(self) -> tuple[tuple[str, int], ...]:
        """The counters that a scheduled run of this job holds while it runs."""
        if self.overlap == "allow" or self.schedule is None:
            return ()
        own = (job_key(self.job_id), self.max_instances)
        return (own,) if self.concurrency_key is None else (own, (f"key:{self.concurrency_key}", self.max_instances))

    @property
    def runs_in(self) -> Place:
        """The kind of place in which the handler runs."""
        if isinstance(self.executor, str):
            return self.executor
        from mainspring.concurrency import kind_of_pool

        return kind_of_pool(self.executor) or "process"

    @property
    def executor_name(self) -> str:
        """The executor, in a word."""
        return self.executor if isinstance(self.executor, str) else type(self.executor).__name__

    @property
    def takes_instance(self) -> bool:
        """True when the handler's `config` is annotated with the schema: it gets the instance, not the dict."""
        parameter = inspect.signature(self.function).parameters.get("config")
        if self.schema is None or parameter is None:
            return False
        return parameter.annotation in (self.schema.kind, self.schema.kind.__name__)

    def oldest_id(self, known: Container[str]) -> str:
        """Return the first id that this job had and none of the `known` jobs has: keys with it outlast a rename."""
        return next((name for name in self.was if name not in known), self.job_id) if self.was else self.job_id

    def hides(self, key: str) -> bool:
        """Tell whether the key of its config is secret, by its name or as its schema has it marked."""
        return is_secret(key) if self.schema is None else self.schema.hides(key)

    def describe(self) -> str:
        """Return the first line of the handler's docstring, or nothing."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


def place_of(function: object) -> str:
    """Return file:line of a function's definition, as errors quote it; of the call from outside for what has none."""
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("mainspring."):
        frame = frame.f_back
    return "<unknown>" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def form_of(function: object, *, job_id: str) -> HandlerForm:
    """Tell how a handler must be called.

    Raises:
        JobDefinitionError: it is not a function.
    """
    if not callable(function) or inspect.isclass(function):
        raise JobDefinitionError(job_id=job_id, place=place_of(function), problem=f"{function!r} is not a function")
    if inspect.isasyncgenfunction(function):
        return HandlerForm.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(function):
        return HandlerForm.COROUTINE
    return HandlerForm.GENERATOR if inspect.isgeneratorfunction(function) else HandlerForm.FUNCTION


def check_executor(executor: object, form: HandlerForm, *, job_id: str, place: str) -> Executor:
    """Return the executor that fits the handler's form.

    Raises:
        JobDefinitionError: a coroutine was asked to run elsewhere than on the loop, or there is no such executor.
    """
    if not _is_executor(executor):
        problem = f"executor={executor!r} is not one of 'loop', 'thread', 'process', nor a pool of threads or processes"
        raise JobDefinitionError(job_id=job_id, place=place, problem=problem)
    on_loop = form in (HandlerForm.COROUTINE, HandlerForm.ASYNC_GENERATOR)
    if on_loop and executor != "loop":
        problem = f"an {form.value} handler runs on the loop, not with executor={executor!r}"
        raise JobDefinitionError(job_id=job_id, place=place, problem=problem, hint="make it a plain function")
    if on_loop:
        return "loop"
    return "thread" if executor == "loop" else cast("Executor", executor)  # cast: checked above


def _is_executor(executor: object) -> bool:
    if isinstance(executor, str):
        return executor in _PLACES
    from mainspring.concurrency import kind_of_pool

    return kind_of_pool(executor) is not None


def retry_policy(retry: Backoff | int | None, *, job_id: str, place: str) -> Backoff | None:
    """Return what `retry=` means: a number N is N retries after the first failure, with growing pauses.

    Raises:
        JobDefinitionError: a negative number, or a Backoff without `max_tries`.
    """
    if isinstance(retry, Backoff):
        if retry.max_tries is None:
            problem = "retry= needs a Backoff with max_tries, every retry has a bound"
            raise JobDefinitionError(job_id=job_id, place=place, problem=problem)
        return retry
    if retry is None or retry == 0:
        return None
    number = isinstance(retry, int)  # pyright: ignore[reportUnnecessaryIsInstance]  # anything gets here
    if not number or isinstance(retry, bool) or retry < 0:
        problem = f"retry={retry!r} is neither a Backoff nor a number of retries"
        raise JobDefinitionError(job_id=job_id, place=place, problem=problem)
    return Backoff(0.5, max_tries=retry + 1, jitter="full")


def need_list(
    needs: Sequence[str | Need | HandlerFunction], id_of: Callable[[HandlerFunction], str]
) -> tuple[Need, ...]:
    """Return `needs=` with plain job ids, and jobs named by their functions, made into `Need`."""
    named = (id_of(need) if callable(need) else need for need in needs)
    return tuple(need if isinstance(need, Need) else Need(need) for need in named)
