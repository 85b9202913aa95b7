"""TaskManager: a group of tasks that come and go while it runs."""

import asyncio
import inspect
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from typing import Any, Literal, TypeAlias  # Any: what coroutines send, receive and return

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError, MisuseError, TaskManagerClosedError

log = logging.getLogger(__name__)

TaskPolicy: TypeAlias = Literal["fail_all", "isolate"] | Backoff
"""What a failed task means: the end of all, nothing to the others, or another start after a delay."""

Work = Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]


class TaskManager:
    """Runs tasks that are added and removed at any time; `run()` returns when the last has ended.

    What a task's failure means is its policy: "fail_all" cancels the others and lets `run()` raise an
    ExceptionGroup, "isolate" is logged only, and a `Backoff` starts it again after a delay until the backoff has
    no further one, which is "fail_all" then. A function that raises instead of returning its coroutine is a failed
    task, too. Tasks see the context variables of the place they were added at.
    Use it from one loop.

    Example:
        >>> async def main() -> list[str]:
        ...     done: list[str] = []
        ...     async def work(name: str) -> None:
        ...         done.append(name)
        ...     manager = TaskManager()
        ...     manager.add_task(work("one"), name="worker-1")
        ...     manager.add_task(work("two"), name="worker-2")
        ...     await manager.run()
        ...     return done
        >>> asyncio.run(main())
        ['one', 'two']
    """

    def __init__(self) -> None:
        self._state: Literal["new", "running", "closing", "closed"] = "new"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entries: dict[str, _Entry] = {}
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._numbers = itertools.count(1)
        self._suffixes: dict[str, int] = {}
        self._errors: list[BaseException] = []
        self._all_ended: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<TaskManager {self._state} tasks={len(self._entries)}>"

    @property
    def tasks(self) -> "dict[str, asyncio.Task[Any]]":
        """The tasks that run now, by name; a copy."""
        return dict(self._tasks)

    def add_task(self, coro: Work, *, name: str | None = None, policy: TaskPolicy = "fail_all") -> str:
        """Take a task, which starts at once when the manager runs, else with `run()`; return its name.

        Args:
            coro: a coroutine, or a coroutine function without arguments, as a restarting policy needs it.
            name: a name that is taken gets a suffix, with a warning; default: a numbered one.
            policy: what its failure means.

        Raises:
            TaskManagerClosedError: the manager has run to its end, or was closed.
            InvalidArgumentError: `coro` is neither, or a coroutine, which can run once only, should be restarted.
        """
        wanted = name or f"task-{next(self._numbers)}"
        if self._state in ("closing", "closed"):
            _discard(coro)
            raise TaskManagerClosedError(task=wanted)
        if not inspect.iscoroutine(coro) and not callable(coro):
            raise InvalidArgumentError(argument="coro", value=coro, expected="a coroutine or a coroutine function")
        if isinstance(policy, Backoff) and inspect.iscoroutine(coro):
            _discard(coro)
            raise InvalidArgumentError(
                argument="coro", value=coro, expected="a coroutine function, since a coroutine runs only once"
            )
        given = self._free_name(wanted)
        entry = self._entries[given] = _Entry(given, coro, policy)
        if self._loop is not None:
            try:
                self._start(entry)
            except BaseException:
                entry.drop()
                self._forget(entry)
                raise
        log.info("task %s added", given)
        return given

    def del_task(self, task: "asyncio.Task[Any] | str") -> None:
        """Cancel a task, given by name or as in `tasks`; the others do not notice. An unknown one is ignored."""
        name = task if isinstance(task, str) else task.get_name()
        entry = self._entries.get(name)
        if entry is None or (not isinstance(task, str) and self._tasks.get(name) is not task):
            return
        entry.is_removed = True
        running = self._tasks.get(name)
        if running is not None:
            running.cancel()
        else:
            entry.drop()
            log.info("task %s cancelled before it began", name)
            self._forget(entry)

    async def run(self) -> None:
        """Start what was added and wait until no task is left. When cancelled, it cancels all tasks first.

        Raises:
            MisuseError: the manager runs, or has run.
            ExceptionGroup: tasks failed whose policy is "fail_all".
        """
        if self._state != "new":
            raise MisuseError(what="a TaskManager", problem="runs once", hint="make another")
        self._state = "running"
        self._loop = asyncio.get_running_loop()
        for entry in list(self._entries.values()):
            self._start(entry)
        try:
            await self._until_all_ended()
        except asyncio.CancelledError:
            self._cancel_all()
            await self._until_all_ended()
            raise
        finally:
            self._state = "closed"
        if self._errors:
            raise BaseExceptionGroup("tasks of a TaskManager failed", self._errors)

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended; `run()` then returns."""
        if self._state == "new":
            self._state = "closed"
        if self._state == "running":
            self._state = "closing"
        self._cancel_all()
        await self._until_all_ended()

    def _start(self, entry: "_Entry") -> None:
        loop = asyncio.get_running_loop()
        entry.timer = None
        entry.started_at = loop.time()
        task = loop.create_task(entry.coroutine(), name=entry.name, context=entry.context)
        self._tasks[entry.name] = task
        task.add_done_callback(self._on_end)

    def _on_end(self, task: "asyncio.Task[Any]") -> None:
        name = task.get_name()
        entry = self._entries[name]
        del self._tasks[name]
        if task.cancelled():
            log.info("task %s cancelled", name)
        elif (error := task.exception()) is not None:
            log.error("task %s failed", name, exc_info=error)
            if self._restarts(entry):
                return
            if entry.policy != "isolate":
                self._errors.append(error)
                self._state = "closing"
                self._cancel_all()
        self._forget(entry)

    def _restarts(self, entry: "_Entry") -> bool:
        """Start the task again after a delay, if its policy has one left."""
        if self._loop is None or self._state != "running" or entry.is_removed:
            return False
        delay = entry.next_delay(self._loop.time())
        if delay is None:
            return False
        log.info("task %s starts again in %.3g s", entry.name, delay)
        entry.timer = self._loop.call_later(delay, self._start, entry)
        return True

    def _cancel_all(self) -> None:
        for entry in list(self._entries.values()):
            self.del_task(entry.name)

    def _forget(self, entry: "_Entry") -> None:
        del self._entries[entry.name]
        if not self._entries and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)

    async def _until_all_ended(self) -> None:
        while self._entries:
            if self._all_ended is None or self._all_ended.done():
                self._all_ended = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_ended)  # shielded: run() and close() share it

    def _free_name(self, wanted: str) -> str:
        name = wanted
        while name in self._entries:
            self._suffixes[wanted] = self._suffixes.get(wanted, 1) + 1
            name = f"{wanted}-{self._suffixes[wanted]}"
        if name != wanted:
            log.warning("a task %s runs already, this one is called %s", wanted, name)
        return name


class _Entry:
    """One task as it was added, between its runs too."""

    def __init__(self, name: str, work: Work, policy: TaskPolicy) -> None:
        self.name = name
        self.policy = policy
        self.context: Context = copy_context()
        self.is_removed = False
        self.timer: asyncio.TimerHandle | None = None
        self.started_at = 0.0
        self._work = work
        self._delays: Iterator[float] = iter(())
        self._is_first = True

    def coroutine(self) -> Coroutine[Any, Any, Any]:
        """Return what the task runs."""
        return _call(self._work) if callable(self._work) else self._work

    def next_delay(self, now: float) -> float | None:
        """Return the seconds until the next start; None when there is none. A run that was long begins afresh."""
        if not isinstance(self.policy, Backoff):
            return None
        if self._is_first or now - self.started_at > self.policy.maximum:
            self._is_first = False
            self._delays = self.policy.delays()
        return next(self._delays, None)

    def drop(self) -> None:
        """Let go of what will not run."""
        if self.timer is not None:
            self.timer.cancel()
        _discard(self._work)


async def _call(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Call the function inside its task, so that what it raises is the failure of that task."""
    coroutine = work()
    if not inspect.isawaitable(coroutine):
        raise InvalidArgumentError(argument="coro", value=work, expected="a function that returns a coroutine")
    return await coroutine


def _discard(work: object) -> None:
    if inspect.iscoroutine(work):
        work.close()
