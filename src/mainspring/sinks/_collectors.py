"""Makes what collects the items of a run for one sink, and opens what that needs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.sinks._own_database import OwnRows
from mainspring.sinks._routes import Routes
from mainspring.sinks._sink import CollectingSink, TransactionalSink, is_collecting
from mainspring.sinks._sql_table import SqlTable
from mainspring.sinks._staged import MemoryBudget, RunRows
from mainspring.sinks._transaction import Collector, SinkRun, StageArea

FILE_THREADS: Final = 4  # files that are written at once


class Collectors:
    """The collectors of one set of sinks: they share memory, threads, and the databases of tables.

    Attributes:
        stage: where rows wait that are too many for memory.
    """

    def __init__(self, routes: Routes) -> None:
        self.stage: StageArea | None = None
        self._routes = routes
        self._tables: dict[int, SqlTable] = {}
        self._opening = asyncio.Lock()
        self._budget = MemoryBudget()
        self._threads: ThreadPoolExecutor | None = None

    async def close(self) -> None:
        """Close the tables' own databases."""
        for table in self._tables.values():
            if table.own is not None:
                await table.own.close()
        self._tables.clear()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    async def make(self, sink: TransactionalSink | CollectingSink, run: SinkRun) -> Collector:
        """Return what collects a run's items, opening the sink's own database if it has one."""
        if isinstance(sink, CollectingSink):
            if self._threads is None:
                self._threads = ThreadPoolExecutor(FILE_THREADS, statistic_name="sinks")
            return sink.collect(run, self._threads)
        name = self._routes.staged_as(sink)
        if not isinstance(sink, SqlTable):
            return RunRows(sink, run, self.stage, name=name, budget=self._budget)
        if sink.own is None:
            return RunRows(sink, run, self.stage, name=name, budget=self._budget, shape=sink.shape)
        async with self._opening:  # one opens, the others wait
            if id(sink) not in self._tables:
                await sink.own.open()
                self._tables[id(sink)] = sink
        rows = OwnRows(sink, run, sink.own, name=name, budget=self._budget, shape=sink.shape)
        rows.database, rows.only_adds = sink.own, sink.only_adds
        return rows

    async def make_for_nothing(self, sink: object, run: SinkRun) -> Collector | None:
        """Return what removes the rows of the run's interval, though the run emitted nothing; None if there are none.

        What does not know whether there are some removes them, which is cheap then.
        """
        if not is_collecting(sink) or (isinstance(sink, SqlTable) and sink.own is not None and not sink.own.is_there):
            return None
        collector = await self.make(sink, run)
        has_earlier: Callable[[], Awaitable[bool]] | None = getattr(collector, "has_earlier", None)
        return collector if has_earlier is None or await has_earlier() else None
