"""WorkerPool: functions in worker processes, awaited without blocking the loop."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, Literal, ParamSpec, Self, TypeVar  # Any: tasks of any result

from mainspring.base import Statistic
from mainspring.concurrency._child_main import Packed
from mainspring.concurrency._child_start import check_start_method
from mainspring.concurrency._room_line import RoomLine
from mainspring.concurrency._worker import Task, Worker
from mainspring.concurrency._worker_balance import WorkerBalance
from mainspring.concurrency._worker_calls import WorkerCalls
from mainspring.concurrency._worker_crew import WorkerCrew, WorkerSpec
from mainspring.concurrency._worker_task import PackedCall, WorkerTask, pack_call
from mainspring.errors import (
    InvalidArgumentError,
    MisuseError,
    WorkerCrashedError,
    WorkerPoolClosedError,
    WorkQueueFullError,
)

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_MAX_OVERFLOW: Final = 1024


class WorkerPoolStatistic(Statistic):
    """What a WorkerPool did: workers alive and starting, tasks by fate, seconds in the functions."""

    processes: int
    spawning: int
    queue_size: int
    task_added: int
    submitted: int  # sent to a worker; a task that is sent again counts again
    done: int
    success: int
    error: int
    bad_auth: int  # always 0: workers are born connected
    sum_time: float


class WorkerPool:
    """Calls functions in worker processes, one at a time per worker; results are awaited.

    Workers are started by `start()` (or `async with`) and replaced as soon as they die. A task that had begun
    on a worker that died raises WorkerCrashedError; one that had not is run elsewhere. Exceptions come back as
    themselves, with their traceback as a note. Functions, arguments and results are pickled (protocol 5);
    arrays are not copied on their way out, so leave them alone until their task is done. Functions of the main
    module work, those of a notebook or a prompt with cloudpickle. Workers exit when this process is gone. Use it
    from one loop.

    Args:
        workers: processes; default: as many as processors, at least 4.
        max_overflow: tasks that may wait for a worker; then `create_task()` waits for room, and `submit()`, which
            never waits, raises WorkQueueFullError. 0 is unbounded.
        initializer: called in each worker before its first task; when it raises, the pool closes.
        initializer_args: its positional arguments.
        initializer_kwargs: its keyword arguments.
        statistic_name: the name of its `WorkerPoolStatistic` and of its processes.
        max_tasks_per_child: tasks after which a worker is replaced by a fresh one; None for never.
        recycle: seconds after which a worker is replaced by a fresh one when it is idle next, plus up to a quarter
            by chance; None for never.
        shared_memory: pickles and buffers (arrays, `PickleBuffer`s) of at least so many bytes travel through
            shared memory instead of a socket; None for never. Linux only, ignored elsewhere.
        start_method: "forkserver" (the default on Linux), "spawn" (elsewhere) or "fork" (on request: everything
            is inherited, locks that other threads hold included).
        cancel_grace: seconds that a cancelled function may take to end before its worker is killed.

    Raises:
        InvalidArgumentError: a number or the start method is out of range.
    """

    _statistic_kind: ClassVar[type[WorkerPoolStatistic]] = WorkerPoolStatistic

    def __init__(
        self,
        workers: int | None = None,
        max_overflow: int = DEFAULT_MAX_OVERFLOW,
        *,
        initializer: Callable[..., object] | None = None,
        initializer_args: tuple[object, ...] = (),
        initializer_kwargs: Mapping[str, object] | None = None,
        statistic_name: str | None = None,
        max_tasks_per_child: int | None = None,
        recycle: float | None = None,
        shared_memory: int | None = None,
        start_method: str | None = None,
        cancel_grace: float = 5.0,
    ) -> None:
        self.workers = max(os.cpu_count() or 1, 4) if workers is None else workers
        _check("workers", self.workers, 1)
        _check("max_overflow", max_overflow, 0)
        _check("max_tasks_per_child", 1 if max_tasks_per_child is None else max_tasks_per_child, 1)
        _check("shared_memory", 1 if shared_memory is None else shared_memory, 1)
        if recycle is not None and not recycle > 0:
            raise InvalidArgumentError(argument="recycle", value=recycle, expected="seconds above 0")
        _check("cancel_grace", cancel_grace, 0)
        self._name = statistic_name or "worker"
        call = Packed((initializer, initializer_args, dict(initializer_kwargs or {})))
        method = check_start_method(start_method)
        spec = WorkerSpec(self._name, method, call, max_tasks_per_child, recycle, shared_memory)
        self._crew = WorkerCrew(self, spec, self.workers)
        self._balance = WorkerBalance(self._crew)
        self._max_overflow = max_overflow
        self._cancel_grace = cancel_grace
        self._statistic = self._statistic_kind(statistic_name)
        self._state: Literal["new", "open", "closed"] = "new"
        self._broken_by: BaseException | None = None
        self._queue: OrderedDict[Task, None] = OrderedDict()
        self._line = RoomLine(self._has_room)
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        alive = self._crew.alive
        return (
            f"<WorkerPool {self._state} workers={len(alive)}/{self.workers} "
            f"running={sum(bool(worker.in_flight) for worker in alive)} waiting={len(self._queue)}>"
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @asynccontextmanager
    async def __resource__(self) -> AsyncGenerator[Self]:
        """Serve a program as a resource that was given directly: started and closed by it, unless it was started."""
        if self._state != "new":
            yield self
            return
        async with self:
            yield self

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that take tasks now."""
        return tuple(worker.child.pid for worker in self._crew.alive)

    async def start(self) -> None:
        """Start the workers; wait until all are ready.

        Raises:
            MisuseError: the pool was started before.
            ChildStartError: a process did not start, or ended before it was ready.
            TaskNotPicklableError: the initializer cannot travel.
            Exception: what the initializer raised.
        """
        if self._state != "new":
            raise MisuseError(what="a WorkerPool", problem="starts once", hint="make another")
        self._loop = asyncio.get_running_loop()
        self._state = "open"
        try:
            await self._crew.start()
        except BaseException as error:
            if self._state == "open" and isinstance(error, Exception):
                self._broken_by = error  # tasks were given meanwhile, and there is no other reason for their end
            await self.close()
            raise

    async def close(self, *, grace: float = 5.0) -> None:
        """Interrupt what runs, end the workers, wait until they are gone. Tasks raise WorkerPoolClosedError.

        Workers that take longer than `grace` seconds are killed. It goes on when the caller is cancelled.
        """
        if self._state == "open":
            self._begin_closing(grace)
        self._state = "closed"
        if self._closing is not None:
            await asyncio.shield(self._closing)  # shielded: half a pool cannot be closed again

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Call `fn` in a worker; return the future of its result. Never waits.

        The call is pickled now. Cancelling the future takes the task back, or raises CancelledError in its
        function; the worker is killed when the function goes on for `cancel_grace` seconds.

        Raises:
            InvalidArgumentError: `fn` is not callable.
            TaskNotPicklableError: the function or an argument cannot travel; nothing was sent.
            WorkQueueFullError: `max_overflow` tasks wait already, or others wait for room.
            WorkerPoolClosedError: the pool is not open.
        """
        self._check_open()
        if not self._line.is_free:  # a place may be promised to who waits
            raise WorkQueueFullError(
                what=f"the worker pool {self._name!r}",
                limit=self._max_overflow,
                hint="use create_task(), which waits for room",
            )
        return self._add(fn, args, kwargs)

    async def create_task(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn` in a worker and wait for its result, before that for room in the queue.

        Raises:
            TaskNotPicklableError: the function or an argument cannot travel; nothing was sent.
            WorkerCrashedError: the worker died while it ran the function.
            WorkerPoolClosedError: the pool is not open, or was closed meanwhile.
            Exception: what the function raised.
        """
        return await (await self._enter(fn, args, kwargs))

    def calls(self, *, cancel_grace: float, on_begin: Callable[[], None] | None = None) -> WorkerCalls:
        """Return the calls of this pool with another `cancel_grace`, cancelled ones of which wait for their end.

        Args:
            cancel_grace: seconds, >= 0.
            on_begin: called when a worker has loaded one of them, imports included, and begins with its function.

        Raises:
            InvalidArgumentError: `cancel_grace` is below 0.
        """
        _check("cancel_grace", cancel_grace, 0)
        return WorkerCalls(self._enter, cancel_grace=cancel_grace, on_begin=on_begin)

    # What workers and tasks say.

    def on_answers(self, worker: Worker, seconds: float, successes: int, failures: int) -> None:
        """Tasks were answered, and there may be room for more."""
        statistic = self._statistic
        statistic.sum_time += seconds
        statistic.done += successes + failures
        statistic.success += successes
        statistic.error += failures
        self._fill(worker)

    def on_dropped(self, worker: Worker, task: Task) -> None:
        """A task came back that the worker has not begun."""
        if task.done():
            task.leave()
        else:
            self._place(task, first=True)
        self._fill(worker)

    def on_cancel(self, task: Task) -> None:
        """The task was cancelled by who awaits it."""
        if task in self._queue:
            del self._queue[task]
            task.leave()
            self._queue_moved()
            return
        grace = self._cancel_grace if task.cancel_grace is None else task.cancel_grace
        for worker in self._crew.alive:
            worker.cancel(task, grace=grace)

    def on_spawning(self, change: int) -> None:
        """One worker more, or less, is being started."""
        self._statistic.spawning += change

    def on_ready(self, worker: Worker) -> None:
        """A worker takes tasks from now on."""
        self._statistic.processes = len(self._crew.alive)
        self._fill(worker)

    def on_lost(self, worker: Worker) -> None:
        """The worker takes no more; its end is on the way."""
        self._crew.lose(worker)
        self._statistic.processes = len(self._crew.alive)

    def on_gone(self, worker: Worker) -> None:
        """Fail what had begun on a worker that is gone; run the rest elsewhere, in its old order."""
        again: list[Task] = []
        for task, begun in worker.unfinished():
            if begun and not task.done():
                self._statistic.done += 1
                self._statistic.error += 1
                task.fail(_crash(task, worker))
            elif task.done():
                task.leave()
            else:
                again.append(task)
        worker.in_flight.clear()
        for task in reversed(again):
            self._place(task, first=True)

    def on_broken(self, error: BaseException) -> None:
        """No worker can be kept alive."""
        if self._state == "open":
            self._broken_by = error
            self._begin_closing(0.0)

    # Tasks on their way to workers.

    async def _enter(
        self,
        fn: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, Any],
        on_begin: Callable[[], None] | None = None,
    ) -> "WorkerTask[T]":
        """Add a task as soon as there is room in the queue."""
        self._check_open()
        if not self._line.is_free:
            await self._line.wait()
        try:
            return self._add(fn, args, kwargs, on_begin)
        finally:
            self._line.move()  # there may still be room, as when the call could not be pickled

    def _add(
        self,
        fn: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, Any],
        on_begin: Callable[[], None] | None = None,
    ) -> "WorkerTask[T]":
        self._check_open()
        if not callable(fn):
            raise InvalidArgumentError(argument="fn", value=fn, expected="a callable")
        return self._submit_packed(pack_call(fn, args, kwargs, on_begin))

    def _submit_packed(self, call: PackedCall) -> "WorkerTask[Any]":
        self._check_open()
        task: Task = WorkerTask(call, owner=self, loop=self._loop)
        self._statistic.task_added += 1
        self._place(task)
        return task

    def _has_room(self, called: int) -> bool:
        """Whether another task may come; a closed pool has no queue, and tells whoever comes."""
        return not 0 < self._max_overflow <= len(self._queue) + called or self._state == "closed"

    def _place(self, task: Task, *, first: bool = False) -> None:
        """Give the task to the worker with the least to do, or let it wait."""
        best: Worker | None = None
        if first or not self._queue:
            for worker in self._crew.alive:
                if worker.has_room and (best is None or len(worker.in_flight) < len(best.in_flight)):
                    best = worker
                    if not worker.in_flight:
                        break
        if best is not None:
            self._send(best, task)
            return
        self._queue[task] = None
        if first:
            self._queue.move_to_end(task, last=False)
        self._queue_moved()

    def _fill(self, worker: Worker) -> None:
        """Give the worker what waits, as much as it takes; when nothing does, others may have too much."""
        if self._queue:
            while self._queue and worker.has_room:
                self._send(worker, self._queue.popitem(last=False)[0])
            self._queue_moved()
        elif not worker.in_flight:
            self._balance.on_idle()

    def _send(self, worker: Worker, task: Task) -> None:
        self._statistic.submitted += 1
        worker.send(task)
        self._balance.on_sent(worker)

    def _queue_moved(self) -> None:
        self._statistic.queue_size = len(self._queue)
        self._line.move()

    # The end.

    def _begin_closing(self, grace: float) -> None:
        self._state = "closed"
        self._balance.stop()
        waiting = [*self._queue, *self._crew.in_flight()]
        self._queue.clear()
        self._closing = self._loop.create_task(self._crew.close(grace=grace), name=f"close {self._name}")
        for task in waiting:
            task.fail(self._broken_by or WorkerPoolClosedError())
            if not task.cancelled():
                task.exception()  # a task that nobody awaits is no news at the end
        self._queue_moved()

    def _check_open(self) -> None:
        if self._state == "open":
            return
        if self._state == "new":
            raise MisuseError(
                what="this WorkerPool", problem="was not started", hint="use `async with`, or await start()"
            )
        raise WorkerPoolClosedError() from self._broken_by


def _crash(task: Task, worker: Worker) -> WorkerCrashedError:
    child = worker.child
    code = child.exit_code if child.signal_name is None else None
    return WorkerCrashedError(task=task.name, pid=child.pid, exit_code=code, signal=child.signal_name)


def _check(argument: str, value: float, least: int) -> None:
    if value < least:
        raise InvalidArgumentError(argument=argument, value=value, expected=f"at least {least}")
