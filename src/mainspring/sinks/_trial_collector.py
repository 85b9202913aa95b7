"""Collectors that refuse what a run's own would, while nothing comes to its place: for `mainspring.testing.run_job`."""

from collections.abc import Callable
from pathlib import Path

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.sinks._clickhouse_intervals import ClickHouseIntervals
from mainspring.sinks._file_rows import FileRows
from mainspring.sinks._file_sink import FileSink
from mainspring.sinks._sink import TransactionalSink
from mainspring.sinks._sql_table import SqlTable
from mainspring.sinks._staged import MemoryBudget, RunRows
from mainspring.sinks._table_schema import no_columns
from mainspring.sinks._transaction import Collector, SinkRun, TransactionalWrite


def trial_collector(
    sink: object, run: SinkRun, threads: ThreadPoolExecutor, folder: Callable[[], Path]
) -> Collector | None:
    """Return what takes the items of a run as the sink's collector does; None for a sink that takes batches.

    Tables get no rows, and files lie in `folder`. A collecting sink that is not of this library is left alone.

    Raises:
        InvalidItemError: the sink cannot write for such a run.
    """
    if isinstance(sink, SqlTable):
        return _NewTable(sink, run)
    if isinstance(sink, TransactionalSink):
        return RunRows(sink, run, None, name=sink.label, budget=MemoryBudget())
    if isinstance(sink, FileSink):
        return FileRows(folder() / sink.path_for(run).name, run, sink.form(), threads)
    if isinstance(sink, ClickHouseIntervals):
        return _OnlyTaken(sink.collect(run, threads))
    return None


class _NewTable(RunRows):
    """Takes rows for a table as if they were to make it."""

    __slots__ = ("_has_columns", "_table")

    def __init__(self, table: SqlTable, run: SinkRun) -> None:
        super().__init__(table, run, None, name=table.label, budget=MemoryBudget(), shape=self._shape_of)
        self._table = table
        self._has_columns = False

    def _shape_of(self, item: object, key: str | None, run: SinkRun) -> object:
        row = self._table.shape(item, key, run)
        self._has_columns = self._has_columns or bool(row)
        return row

    async def finish(self) -> TransactionalWrite | None:
        """Refuse rows of which no table can be made."""
        if self.count and self._table.needs_columns and not self._has_columns:
            raise no_columns(self._table.table)
        return await super().finish()


class _OnlyTaken:
    """Takes items as another collector does, and sends them nowhere."""

    def __init__(self, collector: Collector) -> None:
        self.count = 0
        self._collector = collector

    def take(self, item: object, key: str | None) -> bool:
        """Take one item."""
        self._collector.take(item, key)
        self.count += 1
        return False

    async def relieve(self) -> None:
        """Nothing is ever asked for."""

    async def finish(self) -> None:
        """Nothing is sent."""

    async def discard(self) -> None:
        """Nothing was sent."""
