"""The sinks of one app: which item goes where, and one session per run."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mainspring.errors import InvalidArgumentError, UnknownSinkError, UnroutedItemError
from mainspring.sinks._batcher import Batcher, Entry
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._own_database import OwnRows
from mainspring.sinks._session import SinkSession
from mainspring.sinks._sink import ResultSink, TransactionalSink, TypedSink, check_sink, is_write, label_of
from mainspring.sinks._sql_table import SqlTable
from mainspring.sinks._staged import Collector, MemoryBudget, RunRows
from mainspring.sinks._transaction import SinkRun, StageArea


class SinkSet:
    """Sinks and routes. Add all sinks before `open`; sinks bound to a job join at their first item."""

    def __init__(self) -> None:
        self._by_type: dict[type, object] = {}
        self._by_label: dict[str, object] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._routes: dict[type, object] = {}
        self._batchers: dict[int, Batcher] = {}
        self._tables: dict[int, SqlTable] = {}
        self._opening = asyncio.Lock()
        self._stage: StageArea | None = None
        self._budget = MemoryBudget()

    def add(
        self,
        sink: object,
        *,
        types: Sequence[type] = (),
        name: str | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        """Register a sink under a name and for items of some types (a TypedSink brings its own).

        Raises:
            InvalidArgumentError: the name or a type is taken, or the object is no sink.
        """
        check_sink(sink)
        label = name or label_of(sink)
        if label in self._by_label:
            raise InvalidArgumentError(argument="name", value=label, expected="a name that no other sink has")
        wanted = tuple(types) or (sink.types if isinstance(sink, TypedSink) else ())
        for one in wanted:
            if one in self._by_type:
                raise InvalidArgumentError(argument="types", value=one, expected="a type that no other sink takes")
        self._by_label[label] = sink
        self._by_type.update(dict.fromkeys(wanted, sink))
        self._routes.clear()
        if delivery is not None:
            self._deliveries[id(sink)] = delivery

    async def open(self, stage: StageArea | None = None) -> None:
        """Get ready; `stage` is where rows wait that are too many for memory."""
        self._stage = stage

    async def close(self, *, timeout: float = 10.0) -> None:
        """Write what is queued, for `timeout` seconds at most, and close the tables' own databases."""
        await asyncio.gather(*(batcher.close(timeout=timeout) for batcher in self._batchers.values()))
        for table in self._tables.values():
            if table.own is not None:
                await table.own.close()
        self._batchers.clear()
        self._tables.clear()

    def session(self, run: SinkRun, *, default: object | None = None, deterministic: bool = False) -> SinkSession:
        """Return a run's way to the sinks.

        Args:
            default: the sink that takes what is not addressed by name.
            deterministic: the run emits the same items in the same order whenever it is repeated, so that an item
                without a key gets one from its place.
        """
        return SinkSession(self, run, default, deterministic=deterministic)

    def named(self, label: str) -> object:
        """Return a sink by its name.

        Raises:
            UnknownSinkError: there is none.
        """
        found = self._by_label.get(label)
        if found is None:
            raise UnknownSinkError(sink=label, known=tuple(self._by_label))
        return found

    def route(self, item_type: type) -> object:
        """Return the sink of the nearest registered base of a type.

        Raises:
            UnroutedItemError: no sink takes it.
        """
        found = self._routes.get(item_type)
        if found is None:
            found = next((self._by_type[base] for base in item_type.__mro__ if base in self._by_type), None)
            if found is None:
                known = tuple(one.__qualname__ for one in self._by_type)
                raise UnroutedItemError(item_type=item_type.__qualname__, registered=known)
            self._routes[item_type] = found
        return found

    def batcher(self, sink: object) -> Batcher:
        """Return the one batcher of a sink."""
        batcher = self._batchers.get(id(sink))
        if batcher is None:
            delivery = self._deliveries.get(id(sink))
            batcher = self._batchers[id(sink)] = Batcher(writer_of(sink), label=label_of(sink), delivery=delivery)
        return batcher

    async def collector(self, sink: TransactionalSink, run: SinkRun) -> Collector:
        """Return what collects a run's items for a transactional sink, opening its own database if it has one."""
        if not isinstance(sink, SqlTable):
            return RunRows(sink, run, self._stage, budget=self._budget)
        sink_run = (sink, run)
        if sink.own is None:
            return RunRows(*sink_run, self._stage, budget=self._budget, shape=sink.shape)
        async with self._opening:  # one opens, the others wait
            if id(sink) not in self._tables:
                await sink.own.open()
                self._tables[id(sink)] = sink
        rows = OwnRows(*sink_run, sink.own, budget=self._budget, shape=sink.shape)
        rows.database = sink.own
        return rows


def writer_of(sink: object) -> Callable[[Sequence[Entry]], Awaitable[None]]:
    """Return what writes a batch of entries to a sink that takes batches."""
    if isinstance(sink, ResultSink):
        results = sink

        async def write_intents(entries: Sequence[Entry]) -> None:
            await results.write_batch([entry.intent() for entry in entries])

        return write_intents
    check_sink(sink)

    async def write(entries: Sequence[Entry]) -> None:
        if is_write(sink):
            await sink([entry.item for entry in entries])

    return write
