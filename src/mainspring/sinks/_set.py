"""The sinks of one app: which item goes where, and one session per run."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any  # Any: items have any type

from mainspring.errors import InvalidArgumentError, UnknownSinkError, UnroutedItemError
from mainspring.sinks._batcher import Batcher, Ticket
from mainspring.sinks._sink import TransactionalSink, TypedSink, WriteIntent, label_of, writer_of
from mainspring.sinks._sql_table import SqlTable
from mainspring.sinks._staged import RunRows
from mainspring.sinks._transaction import SinkRun, StageArea, TransactionalWrite


class SinkSet:
    """Sinks and routes. Add all sinks before `open`; sinks bound to a job join at their first item."""

    def __init__(self) -> None:
        self._by_type: dict[type, object] = {}
        self._by_label: dict[str, object] = {}
        self._routes: dict[type, object] = {}
        self._batchers: dict[int, Batcher] = {}
        self._tables: dict[int, SqlTable] = {}
        self._opening = asyncio.Lock()
        self._stage: StageArea | None = None

    def add(self, sink: object, *, types: Sequence[type] = (), name: str | None = None) -> None:
        """Register a sink under a name and for items of some types (a TypedSink brings its own).

        Raises:
            InvalidArgumentError: the name or a type is taken, or the object is no sink.
        """
        if not isinstance(sink, TransactionalSink):
            writer_of(sink)
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

    async def open(self, stage: StageArea | None = None) -> None:
        """Get ready; `stage` is where rows wait that are too many for memory."""
        self._stage = stage

    async def close(self) -> None:
        """Write what is queued and close the tables' own databases."""
        for batcher in self._batchers.values():
            await batcher.close()
        for table in self._tables.values():
            await table.close()
        self._batchers.clear()
        self._tables.clear()

    def session(self, run: SinkRun, *, default: object | None = None) -> "SinkSession":
        """Return a run's way to the sinks; `default` takes what is not addressed by name."""
        return SinkSession(self, run, default)

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
            batcher = self._batchers[id(sink)] = Batcher(writer_of(sink), label=label_of(sink))
        return batcher

    async def rows(self, sink: TransactionalSink, run: SinkRun) -> RunRows:
        """Return a run's collection of rows for a transactional sink, opening its own database if it has one."""
        if not isinstance(sink, SqlTable) or sink.database is None:
            return RunRows(sink, run, self._stage)
        async with self._opening:  # one opens, the others wait
            if id(sink) not in self._tables:
                await sink.open()
                self._tables[id(sink)] = sink
        return RunRows(sink, run, sink)


class SinkSession:
    """What one run emits. Used by one task at a time; ends with `finish` or `discard`."""

    __slots__ = ("_counts", "_default", "_rows", "_run", "_set", "_tickets")

    def __init__(self, sinks: SinkSet, run: SinkRun, default: object | None) -> None:
        self._set = sinks
        self._run = run
        self._default = default
        self._rows: dict[int, RunRows] = {}
        self._tickets: dict[int, tuple[Batcher, Ticket, str]] = {}
        self._counts: dict[str, int] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Items emitted so far, by sink."""
        return {rows.sink.label: rows.count for rows in self._rows.values()} | self._counts

    async def emit(self, item: Any, *, key: str | None = None, sink: str | None = None) -> None:
        """Accept one item for its sink; waits when that sink is behind.

        Raises:
            UnroutedItemError: no sink takes items of this type.
            UnknownSinkError: there is no sink of that name.
            InvalidItemError: the sink can never write this item.
        """
        target = self._target(item, sink)
        rows = self._rows.get(id(target))
        if rows is not None:
            await rows.add(item)
        elif isinstance(target, TransactionalSink):
            rows = self._rows[id(target)] = await self._set.rows(target, self._run)
            await rows.add(item)
        else:
            await self._put(target, item, key)

    async def finish(self) -> tuple[TransactionalWrite, ...]:
        """Wait until this run's own items are accepted; return the writes that travel with its finish.

        Rows for a table with a database of its own are committed there now, in one transaction.

        Raises:
            SinkWriteError: a sink did not accept some of them.
        """
        for batcher, ticket, _ in self._tickets.values():
            await batcher.flush(ticket)
        writes: list[TransactionalWrite] = []
        for rows in self._rows.values():
            if isinstance(rows.sink, SqlTable) and rows.sink.database is not None:
                await rows.sink.commit(rows.closed())
            else:
                writes.append(rows.closed())
        return tuple(writes)

    async def discard(self) -> None:
        """Forget what was collected; what a sink has accepted already stays written."""
        self._rows.clear()
        self._tickets.clear()

    def _target(self, item: object, sink: str | None) -> object:
        if sink is not None:
            return self._set.named(sink)
        return self._set.route(type(item)) if self._default is None else self._default

    async def _put(self, sink: object, item: object, key: str | None) -> None:
        entry = self._tickets.get(id(sink))
        if entry is None:
            entry = self._tickets[id(sink)] = (self._set.batcher(sink), Ticket(), label_of(sink))
        batcher, ticket, label = entry
        intent = WriteIntent(payload=item, key=key, sink=label, job_id=self._run.job_id, run_id=self._run.run_id)
        await batcher.put(ticket, intent)
        self._counts[label] = self._counts.get(label, 0) + 1
