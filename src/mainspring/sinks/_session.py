"""What one run emits, on its way to the sinks."""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any  # Any: items have any type

from mainspring.base import to_us
from mainspring.errors import ClosedError, InvalidItemError
from mainspring.sinks._batcher import Batcher
from mainspring.sinks._places import Places
from mainspring.sinks._routes import ONE_FOR_BOTH
from mainspring.sinks._sink import is_collecting
from mainspring.sinks._tickets import Ticket
from mainspring.sinks._transaction import Collector, SinkRun, TransactionalWrite

if TYPE_CHECKING:
    from mainspring.sinks._set import SinkSet


class SinkSession:
    """What one run emits; ends with `finish` or `discard`. Several tasks of the run may emit at once."""

    def __init__(self, sinks: "SinkSet", run: SinkRun, default: object | None, *, deterministic: bool = False) -> None:
        self._sinks = sinks
        self._run = run
        self._default = None if default is None else sinks.routes.actual(default)
        self._ordinal = 0 if deterministic else None
        self._ended = False
        self._collectors: dict[int, Collector] = {}
        self._tickets: dict[int, tuple[Batcher, Ticket]] = {}
        self._labels: dict[int, str] = {}
        self._places = Places()
        self._quick: Collector | None = None  # takes what comes without key or sink, once it is known

    @property
    def counts(self) -> Mapping[str, int]:
        """Items emitted so far, by sink."""
        collected = {self._labels[number]: one.count for number, one in self._collectors.items() if one.count}
        return collected | {ticket.sink: ticket.count for _, ticket in self._tickets.values()}

    @property
    def spooled(self) -> Mapping[str, int]:
        """Items that wait on disk for their sinks, by sink."""
        return {ticket.sink: ticket.spooled_count for _, ticket in self._tickets.values() if ticket.spooled_count}

    async def emit(self, item: Any, *, key: str | None = None, sink: str | None = None) -> None:
        """Accept one item for its sink; waits when that sink is behind.

        A dict may be changed afterwards (what it holds may not); any other object is kept as it is until written.

        Args:
            key: names the item for whoever drops or replaces what comes twice: a ResultSink, or a SqlTable with
                `item_key=True`. A deterministic run names items without one by their place.

        Raises:
            UnroutedItemError: no sink takes items of this type.
            UnknownSinkError: there is no sink of that name.
            InvalidItemError: the sink can never write this item, or another sink of the run writes to the same place
                and one of the two replaces.
            ClosedError: the run has ended.
        """
        if self._ended:
            raise self._closed()
        target = self._default if sink is None and self._default is not None else self._target(item, sink)
        if self._ordinal is not None:
            self._ordinal += 1
            key = key or f"{self._identity()}#{self._ordinal}"
        number = id(target)
        collector = self._collectors.get(number)
        if collector is None:
            entry = self._tickets.get(number)
            if entry is None:
                self._take_place(target)
                entry = await self._way_to(target)
            if entry is not None:
                batcher, ticket = entry
                if not batcher.offer(ticket, item, key):
                    await batcher.put(ticket, item, key)
                return
            if self._ended:  # while its way was made
                raise self._closed()
            collector = self._collectors[number]
        if collector.take(item, key):
            await collector.relieve()

    def accept(self, item: Any) -> Awaitable[None] | None:
        """Do what `emit` does, and return what is left to wait for; None when nothing is, as nearly always."""
        collector = self._quick
        if collector is None:
            return self.emit(item)
        return collector.relieve() if collector.take(item, None) else None

    async def finish(self) -> tuple[TransactionalWrite, ...]:
        """Wait until this run's own items are accepted; return the writes that travel with its finish.

        A sink that replaces gets its turn though nothing was emitted. Rows for a table with a database of its own are
        committed there now, in one transaction.

        Raises:
            SinkWriteError: a sink did not accept some of them.
        """
        self._end()
        if self._run.interval_start is not None:
            await self._replace_by_nothing()
        for batcher, ticket in self._tickets.values():
            await batcher.flush(ticket)
        written = [await collector.finish() for collector in list(self._collectors.values())]
        return tuple(write for write in written if write is not None)

    async def discard(self) -> None:
        """Forget what was collected, withdraw what is queued or on disk; what a sink has in its hands stays there."""
        self._end()
        for batcher, ticket in self._tickets.values():
            batcher.withdraw(ticket)
            await self._sinks.forget(ticket)
        for collector in list(self._collectors.values()):
            await collector.discard()

    async def _replace_by_nothing(self) -> None:
        """Give sinks their turn that replace and got nothing: an earlier run may have written there."""
        default, run = self._default, self._run
        if getattr(default, "replaces", False) and not self._is_replaced(default):
            await self._way_to(default)
        for sink in self._sinks.routes.replacing():
            if id(sink) not in self._collectors and not self._is_replaced(sink):
                collector = await self._sinks.collectors.make_for_nothing(sink, run)
                if collector is not None:
                    self._collectors[id(sink)] = collector

    def _is_replaced(self, sink: object) -> bool:
        """Tell whether the run has replaced what another sink wrote to the same place."""
        rival = self._places.rival_of(sink, self._run)
        return rival is not None and rival.replaces

    async def _way_to(self, target: object) -> tuple[Batcher, Ticket] | None:
        """Return batcher and ticket for a sink that takes batches; any other one has a collector after this."""
        number = id(target)
        label = self._labels[number] = self._sinks.routes.label(target)
        if not is_collecting(target):
            run = self._run
            ticket = Ticket(label, run_id=run.run_id, job_id=run.job_id)
            return self._tickets.setdefault(number, (self._sinks.lane(target).batcher, ticket))
        if number not in self._collectors:
            collector = await self._sinks.collectors.make(target, self._run)
            self._collectors.setdefault(number, collector)  # another task of the run may have been first
            if target is self._default and self._ordinal is None and not self._ended:
                self._quick = self._collectors[number]
        return None

    def _take_place(self, target: object) -> None:
        """Refuse a sink that would remove what another one writes in this run, or the other way round."""
        rival = self._places.rival_of(target, self._run)
        if rival is not None:
            label = self._sinks.routes.label
            reason = f"sink {label(rival)!r} writes to the same place in this run, and one of the two replaces"
            raise InvalidItemError(sink=label(target), reason=reason, hint=ONE_FOR_BOTH)

    def _closed(self) -> ClosedError:
        return ClosedError(what=f"the way to the sinks of run {self._run.run_id}")

    def _end(self) -> None:
        self._ended = True
        self._quick = None

    def _target(self, item: object, sink: str | None) -> object:
        return self._sinks.route(type(item)) if sink is None else self._sinks.named(sink)

    def _identity(self) -> str:
        """Return what stays the same whenever this run's work is repeated: without an interval, its attempts only.

        Its job's name in it is the oldest one, which a rename leaves.
        """
        run = self._run
        name = run.was[0] if run.was else run.job_id
        return f"{name}:{run.run_id if run.interval_start is None else to_us(run.interval_start)}"

    def __repr__(self) -> str:
        return f"<SinkSession of {self._run.job_id}, {sum(self.counts.values())} items>"
