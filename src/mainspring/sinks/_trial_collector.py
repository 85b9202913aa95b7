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
from mainspring.sinks._transaction import Collector, SinkRun


def trial_collector(
    sink: object, run: SinkRun, threads: ThreadPoolExecutor, folder: Callable[[], Path]
) -> Collector | None:
    """Return what takes the items of a run as the sink's collector does; None for a sink that takes batches.

    Tables get no rows, and files lie in `folder`. A collecting sink that is not of this library is left alone.

    Raises:
        InvalidItemError: the sink cannot write for such a run.
    """
    if isinstance(sink, TransactionalSink):
        shape = sink.shape if isinstance(sink, SqlTable) else None
        return RunRows(sink, run, None, name=sink.label, budget=MemoryBudget(), shape=shape)
    if isinstance(sink, FileSink):
        return FileRows(folder() / sink.path_for(run).name, run, sink.form(), threads)
    if isinstance(sink, ClickHouseIntervals):
        return _OnlyTaken(sink.collect(run, threads))
    return None


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
