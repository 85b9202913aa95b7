"""Callers that wait for runs: woken by this node, or by looking at the store when another node ran them."""

import asyncio

from mainspring.jobs.stores import JobStore, RunRecord


class Waiters:
    """Futures of run records, by run id. One task looks in the store while anybody waits."""

    def __init__(self, store: JobStore, *, poll_interval: float) -> None:
        self._store = store
        self._poll_interval = poll_interval
        self._futures: dict[str, list[asyncio.Future[RunRecord]]] = {}
        self._poll: asyncio.Task[None] | None = None

    async def wait(self, run_id: str) -> RunRecord:
        """Wait until the run has ended; a cancelled wait does not touch the run."""
        future: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(run_id, []).append(future)
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._look(), name="mainspring-waiters")
        try:
            return await future
        finally:
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
        """Stop looking; those who still wait are cancelled."""
        for futures in self._futures.values():
            for future in futures:
                future.cancel()
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)

    async def _look(self) -> None:
        while self._futures:
            await asyncio.sleep(self._poll_interval)
            for record in await self._store.ended(list(self._futures)[:500]):
                self.ended(record)
