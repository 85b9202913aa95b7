"""The sinks of one app: which item goes where, and one session per run."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mainspring.errors import InvalidArgumentError, InvalidItemError
from mainspring.sinks._batcher import Batcher
from mainspring.sinks._collectors import Collectors
from mainspring.sinks._delivery import SPOOL_BYTES, Delivery
from mainspring.sinks._lane import Lane
from mainspring.sinks._lanes import Lanes, SinkStats
from mainspring.sinks._routes import Routes
from mainspring.sinks._session import SinkSession
from mainspring.sinks._sink import TypedSink, check_sink, is_collecting, label_of
from mainspring.sinks._spool import Spool
from mainspring.sinks._tickets import Ticket
from mainspring.sinks._transaction import SinkRun, StageArea

Sink = TypeVar("Sink")


class SinkSet:
    """Sinks and routes, for the runs of an app or for a service of its own (`async with`, then `emit`).

    Args:
        spool: a folder for what sinks with `on_failure="spool"` did not take; each process has its own in it.
        spool_bytes: what one process may keep there.
    """

    def __init__(self, *, spool: str | Path | None = None, spool_bytes: int = SPOOL_BYTES) -> None:
        if spool_bytes < 1:
            raise InvalidArgumentError(argument="spool_bytes", value=spool_bytes, expected="at least 1")
        self.routes = Routes()
        self.collectors = Collectors(self.routes)
        self._lanes = Lanes(self.routes, spool=None if spool is None else Path(spool), spool_bytes=spool_bytes)
        self._nobodys: dict[int, tuple[Batcher, Ticket]] = {}

    # --- what there is ---

    def add(
        self,
        sink: object,
        *,
        types: Sequence[type] = (),
        name: str | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        """Register a sink under a name and for items of some types (a TypedSink brings its own). Before `open`.

        Raises:
            InvalidArgumentError: the name or a type is taken, the object is no sink, or it writes where another one
                does and one of the two replaces.
        """
        check_sink(sink)
        label = name or label_of(sink)
        wanted = tuple(types) or (sink.types if isinstance(sink, TypedSink) else ())
        self.routes.add(label, sink, wanted)
        self.bind(label, sink, types=wanted, delivery=delivery)

    def bind(self, name: str, sink: object, *, types: Sequence[type] = (), delivery: Delivery | None = None) -> None:
        """Make a sink known that belongs to one job: records on disk call it by `name`, no item is routed to it.

        Raises:
            InvalidArgumentError: the object is no sink, another one has the name, or two types that it may spool have
                one name.
        """
        check_sink(sink)
        self.routes.name(name, sink)
        self._lanes.bind(sink, types=types, delivery=delivery)

    def sink(self, *types: type, name: str | None = None, delivery: Delivery | None = None) -> Callable[[Sink], Sink]:
        """Register the decorated async function, or an instance of the decorated class, for items of these types."""

        def register(sink: Sink) -> Sink:
            made = sink() if isinstance(sink, type) else sink
            self.add(made, types=types, name=name or label_of(sink), delivery=delivery)
            return sink

        return register

    def override(self, name: str, replacement: object) -> None:
        """Use another sink wherever the one of this name, or label, is meant; for tests. `open` checks the name.

        Raises:
            InvalidArgumentError: the replacement is no sink.
        """
        check_sink(replacement)
        self.routes.override(name, replacement)

    # --- its life ---

    async def open(self, stage: StageArea | None = None) -> None:
        """Get ready, and begin to write what an earlier process left on disk.

        Args:
            stage: where rows wait that are too many for memory.

        Raises:
            UnknownSinkError: no sink has the name of an override.
            OSError: the spool cannot be used.
        """
        self.routes.check_overrides()
        self.collectors.stage = stage
        if self.spool is not None:
            await self.spool.open()

    async def close(self, *, timeout: float = 10.0) -> None:
        """Write what is queued, for `timeout` seconds at most; spool what is left; close the tables' own databases.

        A cancellation ends the waiting for the sinks: what is left is spooled, and then it goes on.
        """
        ends = [] if self.spool is None else [self.spool.stop()]
        ends += [lane.batcher.close(timeout=timeout) for lane in self._lanes]
        tasks = [asyncio.ensure_future(end) for end in ends]
        try:
            if tasks:
                await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # each keeps what it has, and the spool is open until the last one did
            raise
        finally:
            await self._close_rest()
        for task in tasks:
            task.result()

    async def _close_rest(self) -> None:
        if self.spool is not None:
            await self.spool.close()
        await self.collectors.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def stats(self) -> list[SinkStats]:
        """Return the numbers of each sink that takes batches and was used, by name."""
        return self._lanes.stats()

    @property
    def spool(self) -> Spool | None:
        """What waits on disk, and the dead letters; None without a folder."""
        return self._lanes.spool

    def trouble_of(self, name: str) -> str | None:
        """Tell why nothing can be written from the disk to the sink of a name; None when it can."""
        return self._lanes.trouble_of(name)

    # --- items of no run ---

    async def emit(self, item: object, *, key: str | None = None, sink: str | None = None) -> None:
        """Queue an item of no run, as a service does; waits only when its sink is behind.

        It is tried until its sink takes it, or spooled; closing writes what is queued. Only a dict may be changed then.

        Raises:
            UnroutedItemError: no sink takes items of this type.
            UnknownSinkError: there is no sink of that name.
            InvalidItemError: the sink writes in transactions of runs only.
            ClosedError: the set was closed.
        """
        target = self.route(type(item)) if sink is None else self.named(sink)
        way = self._nobodys.get(id(target))
        if way is None:
            if is_collecting(target):
                raise InvalidItemError(
                    sink=self.routes.label(target),
                    reason="it writes the items of a run when the run ends, and this item belongs to none",
                    hint="use session(SinkRun(...)), emit into it and finish it",
                )
            way = self._nobodys[id(target)] = self.lane(target).batcher, Ticket(self.routes.label(target))
        batcher, ticket = way
        if not batcher.offer(ticket, item, key):
            await batcher.put(ticket, item, key)

    async def flush(self) -> None:
        """Wait until every item of no run is written, or safe on disk."""
        for batcher, ticket in list(self._nobodys.values()):
            await batcher.flush(ticket)

    # --- items of a run ---

    def session(self, run: SinkRun, *, default: object | None = None, deterministic: bool = False) -> SinkSession:
        """Return a run's way to the sinks.

        Args:
            default: the sink that takes what is not addressed by name.
            deterministic: the run emits the same items in the same order whenever it is repeated, so that an item
                without a key gets one from its place.
        """
        return SinkSession(self, run, default, deterministic=deterministic)

    @property
    def replaces(self) -> bool:
        """Whether a registered sink may have something to replace for a run with an interval that emits nothing."""
        return self.routes.any_replaces

    def named(self, label: str) -> object:
        """Return a sink by its name.

        Raises:
            UnknownSinkError: there is none.
        """
        return self.routes.named(label)

    def route(self, item_type: type) -> object:
        """Return the sink of the nearest registered base of a type.

        Raises:
            UnroutedItemError: no sink takes it.
        """
        return self.routes.of_type(item_type)

    def lane(self, sink: object) -> Lane:
        """Return the one way to a sink that takes batches.

        Raises:
            InvalidArgumentError: the object is no sink, or spools and there is no folder for it.
        """
        return self._lanes.to(sink)

    async def forget(self, ticket: Ticket) -> None:
        """Take back what of a failed run lies on disk."""
        if self.spool is not None:
            await self.spool.forget(ticket.spooled)
