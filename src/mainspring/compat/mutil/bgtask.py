"""`mutil.bgtask`: tasks that start later, run several times and stop. `delay` is in seconds, and stop means stop."""

import asyncio
import inspect
import itertools
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from mainspring.base import current_clock
from mainspring.concurrency import TaskManager

__all__ = ("BGSchedule", "BGTask", "BGTasks", "BGTasksAvailable")

_Work = Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]


@dataclass
class BGSchedule:
    """When a task runs: from `start` (default now) plus `delay` seconds, `runtimes` times, never after `stop`.

    After each run it pauses for `pause` seconds. Instants without a zone are in `tz`.
    """

    start: datetime | None = None
    stop: datetime | None = None
    delay: float = 0
    runtimes: int = 1
    pause: float = 0
    tz: tzinfo = UTC
    created: datetime = field(default_factory=lambda: current_clock().now())
    started: list[datetime] = field(default_factory=list[datetime])
    stopped: list[datetime] = field(default_factory=list[datetime])
    runcount: int = 0

    def __post_init__(self) -> None:
        begin = self.created if self.start is None else self._aware(self.start)
        self.start = begin + timedelta(seconds=self.delay)
        self.stop = None if self.stop is None else self._aware(self.stop)

    def _aware(self, instant: datetime) -> datetime:
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=self.tz)

    def seconds_until_start(self) -> float:
        """Return the seconds to wait before the first run."""
        return 0.0 if self.start is None else max(0.0, (self.start - current_clock().now()).total_seconds())

    def has_ended(self) -> bool:
        """Whether no run may begin any more."""
        return self.runcount >= self.runtimes or (self.stop is not None and current_clock().now() >= self.stop)


class BGTask:
    """A task that runs by a schedule; it begins to wait at once. Awaiting it gives its last result."""

    def __init__(self, name: str, task: _Work, schedule: BGSchedule | None = None, meta: Any = None) -> None:
        self.name = name
        self.meta = meta
        self.schedule = schedule or BGSchedule()
        self._work = task
        if self.schedule.runtimes > 1 and inspect.iscoroutine(task):
            task.close()
            raise ValueError("repeated runs need a function that makes coroutines")
        self._result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._result.add_done_callback(lambda done: self.stop() if done.cancelled() else None)
        self._end: Callable[[], object] = self._result.cancel  # how the result ends with the task
        self._manager = TaskManager()
        self._given = self._manager.add_task(self._run, name=f"[{name}]", policy="isolate")
        self._managing = asyncio.get_running_loop().create_task(self._manager.run())
        self._managing.add_done_callback(self._on_end)

    def __repr__(self) -> str:
        return f"<BGTask {self.name} runs={self.schedule.runcount}>"

    def __hash__(self) -> int:
        return hash((self.name, self.created))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BGTask) and (self.name, self.created) == (other.name, other.created)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result.__await__()

    @property
    def created(self) -> datetime:
        """When it was made."""
        return self.schedule.created

    @property
    def started(self) -> list[datetime]:
        """When its runs began."""
        return self.schedule.started

    @property
    def stopped(self) -> list[datetime]:
        """When its runs ended."""
        return self.schedule.stopped

    def done(self) -> bool:
        """Whether it runs no more."""
        return self._managing.done()

    def stop(self) -> bool:
        """Cancel it; False when it is done."""
        self._manager.del_task(self._given)
        return not self.done()

    def report(self) -> str:
        """Return a line about it."""
        return f"[{self.name}] created {self.created}, runs {self.schedule.runcount} of {self.schedule.runtimes}"

    def add_done_callback(self, callback: "Callable[[BGTask], object]") -> None:
        """Call `callback(task)` when it runs no more."""
        self._managing.add_done_callback(lambda _: callback(self))

    async def _run(self) -> None:
        try:
            value = await self._runs()
        except Exception as error:
            self._end = partial(self._result.set_exception, error)
            raise
        self._end = partial(self._result.set_result, value)

    async def _runs(self) -> Any:
        schedule = self.schedule
        result: Any = None
        await asyncio.sleep(schedule.seconds_until_start())
        while not schedule.has_ended():
            schedule.started.append(current_clock().now())
            schedule.runcount += 1
            try:
                result = await (self._work() if callable(self._work) else self._work)
            finally:
                schedule.stopped.append(current_clock().now())
            await asyncio.sleep(schedule.pause)
        return result

    def _on_end(self, _: "asyncio.Task[None]") -> None:
        if inspect.iscoroutine(self._work):
            self._work.close()
        if not self._result.done():
            self._end()
        if not self._result.cancelled():
            self._result.exception()  # nobody has to await it: the manager has logged what is wrong


class BGTasks:
    """The tasks of one owner. `final`, a function of one task, is called when one has ended."""

    def __init__(self, name: str, final: Callable[[BGTask], object] | None = None) -> None:
        self.name = name
        self.final = final
        self.tasks: dict[int, BGTask] = {}
        self._ids = itertools.count()

    def __repr__(self) -> str:
        return f"<BGTasks {self.name} tasks={len(self.tasks)}>"

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[BGTask]:
        return iter(sorted(self.tasks.values(), key=lambda task: task.created))

    def create(self, name: str, task: _Work, schedule: BGSchedule | None = None, meta: Any = None) -> BGTask:
        """Start a task and keep it until it is done."""
        made = BGTask(name, task, schedule, meta)
        number = next(self._ids)
        self.tasks[number] = made
        made.add_done_callback(lambda done: self._forget(number, done))
        return made

    def stop(self, task: BGTask) -> bool:
        """Cancel a task; it stays in `tasks` until it is done."""
        return task.stop()

    def stopId(self, number: int) -> bool:
        """Cancel the task with this number."""
        task = self.tasks.get(number)
        return task is not None and task.stop()

    def cancel(self, name: str) -> set[BGTask]:
        """Cancel all tasks of this name; return them."""
        found = {task for task in self.tasks.values() if task.name == name}
        for task in found:
            task.stop()
        return found

    def report(self) -> list[str]:
        """Return a line about each task, the oldest first."""
        return [task.report() for task in self]

    def cleanup(self) -> None:
        """Cancel all tasks."""
        for task in tuple(self.tasks.values()):
            task.stop()

    def _forget(self, number: int, task: BGTask) -> None:
        self.tasks.pop(number, None)
        if self.final is not None:
            self.final(task)


class BGTasksAvailable:
    """Nothing, as there; it can be imported."""
