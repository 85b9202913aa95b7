"""ProcessPoolExecutor: worker processes behind the interface of the standard library."""

import asyncio
import concurrent.futures
import multiprocessing.context
import threading
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import Any, ParamSpec, TypeVar  # Any: calls of any signature

from mainspring.concurrency._child_start import not_started
from mainspring.concurrency._worker_pool import WorkerPool, WorkerPoolStatistic
from mainspring.concurrency._worker_task import PackedCall, pack_call
from mainspring.errors import ClosedError, InvalidArgumentError, WorkerPoolClosedError, WorkQueueFullError

P = ParamSpec("P")
T = TypeVar("T")


class ProcessPoolStatistic(WorkerPoolStatistic):
    """What a ProcessPoolExecutor did: the metrics of a WorkerPool."""


class _Pool(WorkerPool):
    _statistic_kind = ProcessPoolStatistic


class ProcessPoolExecutor(concurrent.futures.Executor):
    """A pool of processes for `loop.run_in_executor` and for threads without a loop.

    It is a `WorkerPool` on a loop in a thread of its own, so a worker that dies is replaced: the call that it ran
    raises WorkerCrashedError, and calls that had not begun run elsewhere. (The standard pool is broken for good.)
    Cancelling a future takes back a call that waits and interrupts one that runs. Processes start with the first
    call. In coroutines, prefer `WorkerPool`, which is twice as fast.

    Args:
        max_workers: processes; default: as many as processors, at least 4.
        mp_context: a `multiprocessing` context or the name of a start method; default: see `WorkerPool`.
        initializer: called in each process before its first call; when it raises, the pool is closed.
        initargs: its arguments.
        max_tasks_per_child: calls after which a process is replaced; None for never.
        statistic_name: the name of its `ProcessPoolStatistic`.
        max_queue: calls that may wait for a process. Then `submit()` waits for room, but where a loop runs, which
            must not be blocked, it raises WorkQueueFullError. 0 is unbounded.

    Raises:
        InvalidArgumentError: a number or the start method is out of range.

    Example:
        >>> with ProcessPoolExecutor(2) as pool:
        ...     print(list(pool.map(abs, [-1, -2, -3])))
        [1, 2, 3]
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: multiprocessing.context.BaseContext | str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        statistic_name: str | None = None,
        max_queue: int = 1024,
    ) -> None:
        if max_queue < 0:
            raise InvalidArgumentError(argument="max_queue", value=max_queue, expected="0 (unbounded) or more")
        self._pool = _Pool(
            max_workers,
            initializer=initializer,
            initializer_args=initargs,
            max_tasks_per_child=max_tasks_per_child,
            start_method=mp_context
            if mp_context is None or isinstance(mp_context, str)
            else mp_context.get_start_method(),
            statistic_name=statistic_name,
        )
        self._host = _Host(self._pool, max_queue=max_queue)
        weakref.finalize(self, self._host.stop, wait=False, cancel=False).atexit = False

    def __repr__(self) -> str:
        return f"<ProcessPoolExecutor of {self._pool!r}>"

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "concurrent.futures.Future[T]":
        """Call `fn` in a process. The call is pickled now. Safe from any thread; blocks only when the queue is full.

        Raises:
            InvalidArgumentError: `fn` is not callable.
            TaskNotPicklableError: the function or an argument cannot travel.
            WorkQueueFullError: `max_queue` calls wait, and a loop runs in this thread.
            ClosedError: after `shutdown()`, also when that came while it waited.
            ChildStartError: this is the first call, and the system has no descriptor or thread left.
        """
        return self._submit(None, fn, *args, **kwargs)

    def _submit(
        self, on_begin: Callable[[], None] | None, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "concurrent.futures.Future[T]":
        """Call `fn` as `submit` does; `on_begin` is called, in another thread, when a process begins with it."""
        if not callable(fn):
            raise InvalidArgumentError(argument="fn", value=fn, expected="a callable")
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._host.add(future, pack_call(fn, args, kwargs, on_begin), may_block=asyncio._get_running_loop() is None)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the processes end when those that were made are done.

        Args:
            wait: block until they have ended.
            cancel_futures: cancel the calls that are not done.
        """
        self._host.stop(wait=wait, cancel=cancel_futures)


class _Host:
    """The thread with the loop with the pool. It knows nothing of the executor, which may be dropped."""

    def __init__(self, pool: WorkerPool, *, max_queue: int) -> None:
        self._pool = pool
        self._max_queue = max_queue
        # Reentrant: the garbage collector may stop a dropped pool's host anywhere, also under the lock.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_ready = threading.Event()
        self._stopping = False
        self._left: set[concurrent.futures.Future[Any]] = set()
        self._wake: asyncio.Event | None = None
        self._opened: asyncio.Task[None] | None = None

    def add(self, future: "concurrent.futures.Future[Any]", call: PackedCall, *, may_block: bool) -> None:
        """Take one call, from any thread; with `may_block`, wait while too many wait."""
        with self._lock:
            if self._is_full() and not may_block:
                raise WorkQueueFullError(
                    what="the ProcessPoolExecutor",
                    limit=self._max_queue,
                    hint="await some calls before making more, or use a WorkerPool, whose create_task() waits for room",
                )
            self._room.wait_for(lambda: not self._is_full())
            if self._stopping:
                raise ClosedError(what="this ProcessPoolExecutor")
            if self._thread is None:
                self._start_thread()
            self._left.add(future)
            self._call_loop(self._begin, future, call)

    def _is_full(self) -> bool:
        most = self._pool.workers + self._max_queue
        return 0 < self._max_queue and len(self._left) >= most and not self._stopping

    def stop(self, *, wait: bool, cancel: bool) -> None:
        """End when all calls are done, or cancelled now."""
        with self._lock:
            self._stopping = True
            self._room.notify_all()
            thread = self._thread
            if cancel:
                for future in tuple(self._left):
                    future.cancel()
            if thread is not None:
                self._call_loop(self._end)
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start_thread(self) -> None:
        # The loop is made here, where somebody hears that it could not be.
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        thread = threading.Thread(target=self._run, args=(runner,), name="process-pool", daemon=True)
        try:
            self._loop = Context().run(runner.get_loop)  # it must not see the variables of the first caller
            _finish_before_the_end(self)
            thread.start()
        except (OSError, RuntimeError) as error:
            _running.discard(self)
            if self._loop is not None:  # nothing ran on it; a Runner would, and can't where a loop runs
                self._loop.close()
                self._loop = None
            raise not_started("the thread of a ProcessPoolExecutor", error) from error
        self._thread = thread
        self._is_ready.wait()

    def _call_loop(self, callback: Callable[..., object], *args: object) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the thread has ended, so everything is done
            pass

    def _run(self, runner: asyncio.Runner) -> None:
        with runner:
            runner.run(self._serve())
        _running.discard(self)

    async def _serve(self) -> None:
        self._wake = asyncio.Event()
        self._opened = asyncio.create_task(self._pool.start())
        for _ in range(3):  # until the threads that start the processes exist: at exit none can be made any more
            await asyncio.sleep(0)
        self._is_ready.set()
        try:
            while self._left or not self._stopping:
                await self._wake.wait()
                self._wake.clear()
        finally:
            await asyncio.wait({self._opened})
            await self._pool.close()

    def _begin(self, future: "concurrent.futures.Future[Any]", call: PackedCall) -> None:
        if self._loop is not None:
            task = self._loop.create_task(self._call(call), name=call.name)
            future.add_done_callback(lambda done: self._call_loop(task.cancel) if done.cancelled() else None)
            task.add_done_callback(lambda task: self._finish(future, task))

    async def _call(self, call: PackedCall) -> Any:
        if self._opened is not None and not self._opened.done():
            await asyncio.wait({self._opened})
        try:
            return await self._pool._submit_packed(call)
        except WorkerPoolClosedError as closed:
            # It never opened: everybody hears why.
            error = self._opened.exception() if self._opened is not None else None
            raise error or closed from closed

    def _finish(self, future: "concurrent.futures.Future[Any]", task: "asyncio.Task[Any]") -> None:
        with self._lock:
            self._left.discard(future)
            self._room.notify()
        if self._wake is not None:
            self._wake.set()
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            future.cancel()
        if not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(task.result())
        else:
            future.set_exception(error)

    def _end(self) -> None:
        if self._wake is not None:
            self._wake.set()


_running: set[_Host] = set()
_is_registered = False


def _finish_before_the_end(host: _Host) -> None:
    """See that the host's calls are done before the program ends, as the standard pool does."""
    global _is_registered
    _running.add(host)
    if not _is_registered:
        _is_registered = True
        # Where the standard pools register too: at `atexit` no thread can be started any more.
        threading._register_atexit(_finish_all)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _finish_all() -> None:
    for host in tuple(_running):
        host.stop(wait=True, cancel=False)
