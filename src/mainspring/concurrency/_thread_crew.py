"""The threads of one pool and the jobs that wait for them; knows nothing of who asks."""

import asyncio
import concurrent.futures
import itertools
import threading
from collections.abc import Callable
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import Any  # Any: jobs of any signature pass through one queue

from mainspring.base import Statistic, current_clock
from mainspring.concurrency._loop_call import as_coroutines_raise
from mainspring.concurrency._loop_inbox import LoopInbox
from mainspring.concurrency._sync_wait import CallNote, here
from mainspring.errors import ClosedError, WorkQueueFullError

Job = tuple[
    LoopInbox | None,  # where the result goes; None: the future is a concurrent one
    Any,  # the future, asyncio's or concurrent.futures'
    Context,
    Callable[..., Any],
    tuple[Any, ...],
    dict[str, Any],
]

_crew_numbers = itertools.count(1)


class ThreadPoolStatistic(Statistic):
    """What a ThreadPoolExecutor did: threads alive, calls by fate, seconds in the functions.

    Every call that was submitted is waiting, running, done or cancelled. One that was cancelled while it waited
    counts as waiting until a thread comes to it.
    """

    threads: int
    submitted: int
    cancelled: int  # before they began
    success: int
    error: int
    sum_time: float
    _begun = 0

    @property
    def waiting(self) -> int:
        """Calls that no thread has come to."""
        gone = self._begun + self.cancelled  # read first: threads go on counting, and none is below 0
        return self.submitted - gone

    @property
    def running(self) -> int:
        """Calls in their functions."""
        done = self.done  # read first, as above
        return self._begun - done

    @property
    def done(self) -> int:
        """Calls that ended, well or not."""
        return self.success + self.error


class ThreadCrew:
    """Up to `max_workers` daemon threads that work off one queue. Safe from any thread.

    A thread is started when a job comes and all threads have one. Nothing here refers to the pool, so that a
    pool that is dropped can end its threads.
    """

    def __init__(self, max_workers: int, max_queue: int, statistic_name: str | None) -> None:
        self.name = statistic_name or f"pool-{next(_crew_numbers)}"
        self.statistic = ThreadPoolStatistic(statistic_name)
        self.max_workers = max_workers
        self.max_queue = max_queue
        self.closed = False
        self.threads: set[threading.Thread] = set()
        self._unfinished = 0  # jobs that wait or run
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # Reentrant: the garbage collector may close a dropped pool's crew anywhere, also under the lock.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._waiting_for_room = 0
        self._numbers = itertools.count(1)

    @property
    def waiting_count(self) -> int:
        """Jobs that no thread has taken."""
        return max(0, self._jobs.qsize() - self.closed)  # the last entry of a closed queue is its end mark

    def add(self, job: Job, *, may_block: bool) -> None:
        """Give a job to the crew; with `may_block`, wait while the queue is full.

        Raises:
            WorkQueueFullError: the queue is full, and waiting is not allowed.
            ClosedError: the pool was shut down, before or while waiting.
            RuntimeError: the system has no thread left, and the crew has none.
        """
        with self._lock:
            if self.max_queue and self._jobs.qsize() >= self.max_queue and not self.closed:
                self._wait_for_room(may_block)
            if self.closed:
                raise ClosedError(what="this ThreadPoolExecutor")
            if self._unfinished >= len(self.threads) < self.max_workers:
                self._start_thread()  # first: when there is none, nothing has been promised
            self._unfinished += 1
            self.statistic.submitted += 1
            self._jobs.put(job)

    def close(self) -> None:
        """Take no more jobs; threads end when those that wait are done."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._jobs.put(None)
                self._room.notify_all()

    def cancel_waiting(self) -> None:
        """Cancel every job that no thread has taken, after `close()`."""
        try:
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    self._cancel(job)
        except Empty:
            self._jobs.put(None)

    def _wait_for_room(self, may_block: bool) -> None:
        # A thread of the crew must not wait for the crew, and an event loop for nobody.
        if not may_block or threading.current_thread() in self.threads:
            raise WorkQueueFullError(
                what=f"the thread pool {self.name!r}",
                limit=self.max_queue,
                hint="await some calls before making more, or set max_queue= (0 is unbounded)",
            )
        self._waiting_for_room += 1
        try:
            self._room.wait_for(lambda: self.closed or self._jobs.qsize() < self.max_queue)
        finally:
            self._waiting_for_room -= 1

    def _start_thread(self) -> None:
        name = f"Thread {next(self._numbers)} from pool {self.name}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has none left
            if not self.threads:
                raise
            return
        self.threads.add(thread)
        self.statistic.threads = len(self.threads)

    def _work(self) -> None:
        note = here.note
        while (job := self._jobs.get()) is not None:
            if self._waiting_for_room:
                with self._lock:
                    self._room.notify()
            self._do(job, note)
            del job  # an idle thread must not keep arguments and results alive
        self._jobs.put(None)  # the next thread ends too
        with self._lock:
            self.threads.discard(threading.current_thread())
            self.statistic.threads = len(self.threads)

    def _do(self, job: Job, note: CallNote) -> None:
        inbox, future, context, function, args, kwargs = job
        if inbox is None:
            if not future.set_running_or_notify_cancel():
                self._pass_over(job)
                return
        else:
            if future.cancelled():
                self._pass_over(job)
                return
            note.future = future
        statistic = self.statistic
        statistic._begun += 1
        result, error = None, None
        monotonic = current_clock().monotonic
        started = monotonic()
        try:
            result = context.run(function, *args, **kwargs)
        except BaseException as caught:  # noqa: BLE001  # supervisor: the caller gets it
            error = caught
        seconds = monotonic() - started
        statistic.sum_time += seconds
        if error is None:
            statistic.success += 1
        else:
            statistic.error += 1
        if inbox is not None:
            note.future = None
            # Before the answer, which may bring the next call at once: this thread is as good as free for it.
            self._unfinished -= 1
            inbox.deliver(future, result, None if error is None else as_coroutines_raise(error))
        else:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
            self._unfinished -= 1  # only now: callbacks ran in this thread
        del error  # it refers to this frame, which refers to it

    def _pass_over(self, job: Job) -> None:
        """Count a call that was cancelled before it began, and tell its loop that a thread came to it."""
        inbox, future = job[0], job[1]
        self._unfinished -= 1
        self.statistic.cancelled += 1
        if inbox is not None:
            inbox.deliver(future, None, None)

    def _cancel(self, job: Job) -> None:
        inbox, future = job[0], job[1]
        self._unfinished -= 1
        self.statistic.cancelled += 1
        if inbox is not None:
            inbox.deliver(future, None, asyncio.CancelledError())
        elif isinstance(future, concurrent.futures.Future):
            future.cancel()
