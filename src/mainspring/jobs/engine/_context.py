"""What a handler is given: its context, typed, and readable as a mapping as piko's."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from mainspring.base import current_clock
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._capture import LogTail, RunLogger
from mainspring.jobs.model import DataInterval
from mainspring.jobs.stores import Progress
from mainspring.sinks import SinkSession

if TYPE_CHECKING:
    from mainspring.jobs.engine._app import JobApp
    from mainspring.jobs.engine._declarations import Job
    from mainspring.jobs.engine._following import SpawnedRun

P = ParamSpec("P")
T = TypeVar("T")

_LARGEST: Final = 2**53  # what JSON and every store keep exactly
_KEYS = (
    "run_id",
    "job_id",
    "scheduled_at",
    "data_interval",
    "attempt",
    "config",
    "fence",
    "deadline_at",
    "cancelled",
    "idempotency_key",
)


class JobContext(Mapping[str, object]):
    """One run as its handler sees it. Attributes and `ctx["name"]` are the same.

    Attributes:
        run_id, job_id: who runs.
        scheduled_at: the fire time (the interval's end), aware UTC.
        data_interval: the half-open interval to work on, None without one.
        attempt: 1 for the first try.
        config: the effective configuration, a plain dict.
        instance: what it makes of the job's `schema=`; None for a job without one.
        fence: a number that grows with every claim; send it along to refuse a late writer.
        deadline_at: when the timeout ends this attempt, None without one. It counts from the handler's begin, not from
            when it waited for a thread or a worker process.
        idempotency_key: the same text for every attempt of this run.
        app: the JobApp.
    """

    __slots__ = (
        "_cancelled",
        "_log",
        "_loop",
        "_open_session",
        "_session",
        "_tail",
        "app",
        "attempt",
        "config",
        "data_interval",
        "deadline_at",
        "fence",
        "instance",
        "job_id",
        "last_progress",
        "run_id",
        "scheduled_at",
        "takes_instance",
        "thread_left",
    )

    def __init__(
        self,
        *,
        app: "JobApp",
        run_id: str,
        job_id: str,
        scheduled_at: datetime,
        data_interval: DataInterval | None,
        attempt: int,
        config: dict[str, object],
        instance: object = None,
        takes_instance: bool = False,
        fence: int,
        deadline_at: datetime | None,
        open_session: Callable[[], SinkSession],
        loop: asyncio.AbstractEventLoop,
        tail: LogTail,
    ) -> None:
        self.app = app
        self.run_id = run_id
        self.job_id = job_id
        self.scheduled_at = scheduled_at
        self.data_interval = data_interval
        self.attempt = attempt
        self.config = config
        self.instance = instance
        self.takes_instance = takes_instance  # as its `config` parameter
        self.fence = fence
        self.deadline_at = deadline_at
        self._open_session = open_session
        self._session: SinkSession | None = None
        self._cancelled = False
        self.last_progress: Progress | None = None
        self.thread_left: asyncio.Future[object] | None = None  # what goes on in a thread after the run had to end
        self._loop = loop
        self._tail = tail
        self._log: RunLogger | None = None

    @property
    def cancelled(self) -> bool:
        """True once the run was asked to stop; for loops in threads, which cannot be interrupted."""
        return self._cancelled

    @property
    def idempotency_key(self) -> str:
        """The same text for every attempt of this run, for services that deduplicate."""
        return self.run_id

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose records carry the run and the job; from INFO up they are in the run's own record."""
        if self._log is None:
            self._log = RunLogger(*_logger_of(self), self._tail)
        return self._log

    @property
    def session(self) -> SinkSession:
        """The run's way to its sinks, made at the first item."""
        if self._session is None:
            self._session = self._open_session()
        return self._session

    @property
    def used_session(self) -> SinkSession | None:
        """The session, if anything was emitted."""
        return self._session

    async def emit(self, item: object, *, key: str | None = None, sink: str | None = None) -> None:
        """Hand one item to its sink; waits only when that sink is behind.

        Raises:
            UnroutedItemError: no sink takes items of this type.
        """
        await self.session.emit(item, key=key, sink=sink)

    def emit_sync(self, item: object, *, key: str | None = None, sink: str | None = None) -> None:
        """Hand one item to its sink from a handler that runs in a thread."""
        asyncio.run_coroutine_threadsafe(self.emit(item, key=key, sink=sink), self._loop).result()

    def progress(self, done: float, total: float | None = None) -> None:
        """Say how far the work has come; from any thread, as often as it likes: it costs a microsecond.

        The last word is in the run's record, a running run's within the app's `poll_interval`. Nothing is
        concluded from it.

        Args:
            done: how much is done, in the handler's own unit, at least 0; a number of any kind, those of numpy too.
            total: how much there is; None when nobody knows.

        Raises:
            InvalidArgumentError: not a finite number, or below 0.
        """
        known = None if total is None else _plain_number("total", total)
        at = round(current_clock().time() * 1e6)
        self.last_progress = Progress(done=_plain_number("done", done), total=known, at=at)

    def cpu(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a pure function in a worker process of the app and wait for its result.

        Raises:
            WorkerCrashedError: the worker died while it ran.
        """
        return self.app.cpu(function, *args, **kwargs)

    async def spawn(
        self, job: "Job", config: Mapping[str, object] | None = None, *, key: str | None = None
    ) -> "SpawnedRun":
        """Create a run of a job on behalf of this one; wait for its end with `wait()` of what is returned.

        Spawned runs go on when this one ends. While it waits for others its slot is free for them.

        Args:
            key: makes it one run, however often this run is tried: a later attempt gets the run of the earlier one,
                unless that ended without success: then it is done again, once for each attempt.

        Raises:
            UnknownJobError: the job is not registered.
            IdempotencyError: the key was used with another config.
            ConfigError: with `config` the job's config does not fit its schema.
        """
        return await self.app.spawn(self.run_id, job, config, key=key)

    def mark_cancelled(self) -> None:
        """Tell handlers in threads to stop."""
        self._cancelled = True

    def __getitem__(self, key: str) -> object:
        if key not in _KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)

    def __repr__(self) -> str:
        return f"<JobContext {self.job_id} run={self.run_id} attempt={self.attempt}>"


class RunInfo:
    """What a handler in a worker process gets for `ctx`: the facts of the run, picklable."""

    __slots__ = (
        "attempt",
        "config",
        "data_interval",
        "deadline_at",
        "fence",
        "idempotency_key",
        "job_id",
        "run_id",
        "scheduled_at",
    )

    def __init__(self, ctx: JobContext) -> None:
        self.run_id = ctx.run_id
        self.job_id = ctx.job_id
        self.scheduled_at = ctx.scheduled_at
        self.data_interval = ctx.data_interval
        self.attempt = ctx.attempt
        self.config = ctx.config
        self.fence = ctx.fence
        self.deadline_at = ctx.deadline_at
        self.idempotency_key = ctx.idempotency_key

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose records carry the run and the job, and travel to the process that owns the run."""
        return logging.LoggerAdapter(*_logger_of(self))

    def __getitem__(self, key: str) -> object:
        if key not in self.__slots__:
            raise KeyError(key)
        return getattr(self, key)


def _logger_of(run: JobContext | RunInfo) -> tuple[logging.Logger, dict[str, object]]:
    """Return the logger of a run's job, and what its records carry."""
    ids: dict[str, object] = {"run_id": run.run_id, "job_id": run.job_id, "attempt": run.attempt}
    return logging.getLogger(f"mainspring.jobs.{run.job_id}"), ids


def _plain_number(name: str, value: Any) -> float:  # Any: as numbers of other libraries are
    """Return what is said of a progress as a number that every store can keep.

    Raises:
        InvalidArgumentError: not a number from 0 to 2**53.
    """
    number: float = value
    if type(value) is not int and type(value) is not float:
        convert = int if hasattr(value, "__index__") else float if hasattr(value, "__float__") else None
        number = math.nan if convert is None else convert(value)
    if not 0 <= number <= _LARGEST:
        raise InvalidArgumentError(argument=name, value=value, expected="a number from 0 to 2**53")
    return number
