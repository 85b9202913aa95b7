"""Callers that wait for runs: woken by this node, or by looking at the store when another node ran them."""

import asyncio
from typing import Any, Final

from mainspring.errors import ClosedError, MainspringError, UnknownRunError
from mainspring.jobs.engine._steady import keep_doing
from mainspring.jobs.stores import JobStore, RunRecord

_AT_ONCE: Final = 500  # runs that one question to the store is about


class Waiters:
    """Futures of run records, by run id. One task, from the first wait until `close`, looks in the store for them."""

    def __init__(self, store: JobStore, *, poll_interval: float) -> None:
        self._store = store
        self._poll_interval = poll_interval
        self._futures: dict[str, list[asyncio.Future[Any]]] = {}  # Any: see `add`
        self._entering: set[str] = set()  # on their way to the store: it need not know them yet
        self._wake = asyncio.Event()
        self._poll: asyncio.Task[None] | None = None
        self._looks = False

    async def wait(self, run_id: str, *, look: bool = False) -> RunRecord:
        """Wait until the run has ended; a cancelled wait does not touch the run.

        Args:
            look: it may have ended before: look in the store at once.

        Raises:
            UnknownRunError: the store has no such run, or has it no more.
            ClosedError: the app was closed first.
        """
        future: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
        self.add(run_id, future, look=look)
        try:
            return await future
        finally:
            self.forget(run_id, future)

    # Any: whoever made a future may resolve it with something else before
    def add(self, run_id: str, future: "asyncio.Future[Any]", *, look: bool = False) -> None:
        """Resolve a future with the run's record when it has ended; who waits no more calls `forget`."""
        self._futures.setdefault(run_id, []).append(future)
        if self._poll is None or self._poll.done():
            self._looks = look
            looking = keep_doing(self._look, self._wake, what="look for ended runs")
            self._poll = asyncio.create_task(looking, name="mainspring-waiters")
        elif look:
            self._looks = True
            self._wake.set()

    def enter(self, run_id: str, future: "asyncio.Future[Any]") -> None:  # Any: as in `add`
        """Resolve a future as `add` does, for a run that is on its way to the store; `entered` tells its arrival."""
        self._entering.add(run_id)
        self.add(run_id, future)

    def entered(self, run_id: str) -> None:
        """Note that a run is in the store, or will not be."""
        self._entering.discard(run_id)

    def forget(self, run_id: str, future: "asyncio.Future[Any]") -> None:
        """Wait no more for the end of a run."""
        futures = self._futures.get(run_id)
        if futures is not None and future in futures:
            futures.remove(future)
            if not futures:
                del self._futures[run_id]

    def ended(self, record: RunRecord) -> None:
        """Wake those who wait for a run that has ended."""
        if record.state.terminal:
            for future in self._futures.pop(record.run_id, ()):
                if not future.done():
                    future.set_result(record)

    async def close(self) -> None:
        """Stop looking; those who still wait are told."""
        for run_id in list(self._futures):
            self._fail(run_id, ClosedError(what="the app"))
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)

    async def _look(self) -> float:
        if not self._looks:  # what runs here is told by this node, once it has counted it: the first look can wait
            self._looks = True
            return self._poll_interval
        waited_for = list(self._futures)
        for start in range(0, len(waited_for), _AT_ONCE):
            some = waited_for[start : start + _AT_ONCE]
            for record in await self._store.ended(some):
                self.ended(record)
            left = [run_id for run_id in some if run_id in self._futures and run_id not in self._entering]
            for run_id in await self._store.unknown(left) if left else ():
                self._fail(run_id, UnknownRunError(run_id=run_id))
        return self._poll_interval

    def _fail(self, run_id: str, error: MainspringError) -> None:
        for future in self._futures.pop(run_id, ()):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits gets it; nobody may be left to
