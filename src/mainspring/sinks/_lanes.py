"""The ways to all sinks of a set that take batches, and the spool behind them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mainspring.errors import InvalidArgumentError
from mainspring.sinks._delivery import Delivery
from mainspring.sinks._lane import Lane, delivery_of
from mainspring.sinks._letters import TypeNames
from mainspring.sinks._routes import Routes
from mainspring.sinks._sink import TypedSink, is_collecting
from mainspring.sinks._spool import Spool


@dataclass(frozen=True, slots=True)
class SinkStats:
    """One sink that takes batches: items that wait in memory, and what it did so far (see `SinkStatistic`)."""

    sink: str
    waiting_count: int
    written_count: int
    batch_count: int
    failure_count: int
    spooled_count: int


class Lanes:
    """One lane for each sink, made when it is first needed.

    Args:
        spool: a folder for what sinks with `on_failure="spool"` did not take.
        spool_bytes: what may be kept there.
    """

    def __init__(self, routes: Routes, *, spool: Path | None, spool_bytes: int) -> None:
        self._routes = routes
        self._deliveries: dict[int, Delivery] = {}
        self._lanes: dict[int, Lane] = {}
        self._by_name: dict[str, Lane] = {}
        self._names = TypeNames()
        self.spool: Spool | None = None
        if spool is not None:
            self.spool = Spool(
                spool, names=self._names, lanes=self._by_name, trouble=self.trouble_of, max_bytes=spool_bytes
            )

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def bind(self, sink: object, *, types: Sequence[type], delivery: Delivery | None) -> None:
        """Note the terms of a sink and the types that it takes.

        Raises:
            InvalidArgumentError: it spools without a folder for that, or two types that it may spool have one name.
        """
        if delivery is not None:
            self._deliveries[id(sink)] = delivery
        if is_collecting(sink):
            return
        spools = self.to(sink).delivery.on_failure == "spool"
        for one in types or (sink.types if isinstance(sink, TypedSink) else ()):
            if spools:
                self._names.add(one)
            else:
                self._names.know(one)  # it may have spooled once

    def to(self, sink: object) -> Lane:
        """Return the one way to a sink.

        Raises:
            InvalidArgumentError: the object is no sink, or spools and there is no folder for it.
        """
        lane = self._lanes.get(id(sink))
        if lane is None:
            name, label = self._routes.name_of(sink), self._routes.label(sink)
            delivery = delivery_of(sink, self._deliveries.get(id(sink)))
            if delivery.on_failure == "fail":
                lane = Lane(sink, name=name, label=label, delivery=delivery, rescue=None)
            else:
                spool = self._spool_for(name)
                rescue, weigh = partial(spool.keep, name), partial(spool.weigh, label)
                lane = Lane(sink, name=name, label=label, delivery=delivery, rescue=rescue, weigh=weigh)
            self._lanes[id(sink)] = self._by_name[name] = lane
        return lane

    def _spool_for(self, name: str) -> Spool:
        if self.spool is None:
            raise InvalidArgumentError(
                argument="spool", value=None, expected=f"a folder, for the items of sink {name!r} (on_failure='spool')"
            )
        return self.spool

    def trouble_of(self, name: str) -> str | None:
        """Tell why nothing can be written from the disk to the sink of a name; None when it can."""
        if name in self._by_name:
            return None
        if self._routes.has(name):
            return (
                f"sink {name!r} takes items only from the runs that emit them now; have a sink that takes batches "
                "under this name to replay them, or drop them"
            )
        known = ", ".join(sorted(self._by_name)) or "none that takes batches"
        return (
            f"this program has no sink {name!r} (it has {known}); give one this name again to have them written, "
            "or drop them"
        )

    def stats(self) -> list[SinkStats]:
        """Return the numbers of each sink that was used, by name."""
        return [
            SinkStats(
                lane.label,
                lane.batcher.waiting_count,
                lane.batcher.statistic.written,
                lane.batcher.statistic.batches,
                lane.batcher.statistic.failures,
                lane.batcher.statistic.spooled,
            )
            for _, lane in sorted(self._by_name.items())
        ]
