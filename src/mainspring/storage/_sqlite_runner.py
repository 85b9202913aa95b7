"""Where the blocking work of a SQLite owner is done: in threads, or inline for simulation and tests."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from mainspring.base import outside_work
from mainspring.errors import InvalidArgumentError

T = TypeVar("T")


class Runner(Protocol):
    """Runs the writer's steps one after another, and single blocking calls beside them."""

    def start(self, step: Callable[[], bool]) -> None:
        """Take on a writer; `step()` writes one group and tells whether more waits. Called on the loop."""
        ...

    def wake(self) -> None:
        """Have `step` called soon. Called on the loop, often: must be cheap."""
        ...

    async def call(self, work: Callable[[], T]) -> T:
        """Run a blocking call and return what it returns."""
        ...

    def deliver(self, callback: Callable[[], None]) -> None:
        """Run a callback on the loop; called by the writer once per group."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait inside of a step."""
        ...

    async def stop(self) -> None:
        """End everything; work that was begun is finished first."""
        ...


class InlineRunner:
    """Does the work on the loop itself, in a callback of its own.

    What is submitted in one round of the loop travels in one group, and the order of events depends on the
    loop alone: right for simulation and tests, wrong for production, where a commit would stop the loop.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._step: Callable[[], bool] | None = None
        self._scheduled = False

    def start(self, step: Callable[[], bool]) -> None:
        """Take on a writer."""
        self._loop = asyncio.get_running_loop()
        self._step = step

    def wake(self) -> None:
        """Have the step called in the next round of the loop."""
        if self._loop is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    async def call(self, work: Callable[[], T]) -> T:
        """Run the call at once."""
        return work()

    def deliver(self, callback: Callable[[], None]) -> None:
        """Run the callback at once."""
        callback()

    def pause(self, seconds: float) -> None:
        """Wait, the loop with it."""
        threading.Event().wait(seconds)

    async def stop(self) -> None:
        """Forget the writer."""
        self._step = None

    def _run(self) -> None:
        self._scheduled = False
        if self._step is not None and self._step():
            self.wake()


class ThreadRunner:
    """One writer thread and up to `readers` threads for calls, started when first needed."""

    def __init__(self, *, readers: int = 4) -> None:
        if readers < 1:
            raise InvalidArgumentError(argument="readers", value=readers, expected="at least 1")
        self._readers = readers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work_waits = threading.Event()
        self._stopping = False
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle_readers = 0  # touched on the loop only; below zero: calls that wait in line
        self._threads: list[tuple[threading.Thread, asyncio.Future[None]]] = []
        self._reader_count = 0
        self._stop_pauses = threading.Event()

    def start(self, step: Callable[[], bool]) -> None:
        """Take on a writer and start its thread."""
        self._loop = asyncio.get_running_loop()
        self._start_thread("writer", partial(self._write, step))

    def wake(self) -> None:
        """Wake the writer thread, unless it is already told."""
        # invariant: the submitter appends before it looks here, the writer clears before it drains
        if not self._work_waits.is_set():
            self._work_waits.set()

    async def call(self, work: Callable[[], T]) -> T:
        """Run the call in a reader thread; when all of them are busy it waits in line.

        A cancelled caller leaves at once; its call is still carried out.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._idle_readers <= 0 and self._reader_count < self._readers:
            self._reader_count += 1
            self._idle_readers += 1
            self._start_thread(f"reader-{self._reader_count}", self._read)
        self._idle_readers -= 1
        outside_work.count += 1
        self._calls.put(partial(self._answer, work, future))
        return await future

    def deliver(self, callback: Callable[[], None]) -> None:
        """Run the callback on the loop: one wake-up."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(callback)
            except RuntimeError:  # the loop was closed under us; nobody is left to be told
                return

    def pause(self, seconds: float) -> None:
        """Wait in the writer thread."""
        self._stop_pauses.wait(seconds)

    async def stop(self) -> None:
        """End the threads and wait for them."""
        self._stopping = True
        self._work_waits.set()
        for _ in range(self._reader_count):
            self._calls.put(None)
        outside_work.count += 1
        try:
            for thread, ended in self._threads:
                await ended
                thread.join()
        finally:
            outside_work.count -= 1
        self._threads.clear()

    def _start_thread(self, role: str, target: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def body() -> None:
            try:
                target()
            finally:
                self.deliver(partial(_resolve, ended, None, None))

        thread = threading.Thread(target=body, name=f"mainspring-sqlite-{role}", daemon=True)
        self._threads.append((thread, ended))
        thread.start()

    def _write(self, step: Callable[[], bool]) -> None:
        while True:
            self._work_waits.wait()
            self._work_waits.clear()
            while step():
                pass
            if self._stopping:
                return

    def _read(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _answer(self, work: Callable[[], T], future: "asyncio.Future[T]") -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # supervisor: the error belongs to the caller
            self.deliver(partial(self._settle, future, None, error))
        else:
            self.deliver(partial(self._settle, future, result, None))

    # Any: futures of every result type pass through here
    def _settle(self, future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
        self._idle_readers += 1
        outside_work.count -= 1
        _resolve(future, result, error)


def _resolve(future: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
