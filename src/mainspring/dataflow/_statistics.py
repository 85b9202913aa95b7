"""What a running topology counts: per stage and per edge, kept by the supervisor from what workers report."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mainspring.base import Statistic, current_clock
from mainspring.dataflow._meter import Meter
from mainspring.dataflow._topology import Topology

_STAGE: Final = ("received", "handled", "failed", "written", "seconds")
_EDGE: Final = ("sent", "sent_bytes", "acknowledged", "dropped", "lost", "redelivered")


class StageStatistic(Statistic):
    """One stage of a dataflow, all its workers together."""

    received: int
    handled: int
    failed: int
    restarts: int
    written: int
    seconds: float


class EdgeStatistic(Statistic):
    """The way from one stage to the next, of all workers together."""

    sent: int
    sent_bytes: int
    acknowledged: int
    dropped: int
    lost: int
    redelivered: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class StageStats:
    """One stage, at a moment.

    Attributes:
        stage: its label.
        received_count: messages that came to it, again counts again.
        handled_count: messages that its callback was called with.
        failed_count: those for which the callback raised, and items that the sink can never write.
        restart_count: how often one of its workers was restarted.
        service_time: seconds that the callback took for one message, on average; 0.0 before the first.
        rate: messages that it handled per second, in the last 5 s.
        written_count: items that its sink has written.
    """

    stage: str
    received_count: int
    handled_count: int
    failed_count: int
    restart_count: int
    service_time: float
    rate: float
    written_count: int


@dataclass(frozen=True, slots=True)
class EdgeStats:
    """The way from one stage to the next, at a moment.

    Attributes:
        edge: the labels of both stages.
        sent_count: messages given to the wire, redelivered ones not counted again.
        sent_bytes: their payload.
        acknowledged_count: messages that are done for good.
        dropped_count: messages dropped because a worker did not keep up.
        lost_count: messages that a dead worker had, with delivery "at-most-once".
        redelivered_count: messages sent again because a worker died.
        in_flight_count: messages that wait or are on their way.
        rate: messages given to the wire per second, in the last 5 s.
    """

    edge: str
    sent_count: int
    sent_bytes: int
    acknowledged_count: int
    dropped_count: int
    lost_count: int
    redelivered_count: int
    in_flight_count: int
    rate: float


@dataclass(frozen=True, slots=True)
class DataflowStats:
    """What a dataflow has done so far; workers report twice a second, and at their end."""

    stages: tuple[StageStats, ...]
    edges: tuple[EdgeStats, ...]


class FlowCounts:
    """The counters of one flow: what workers have reported, with those that are gone."""

    def __init__(self, title: str, topology: Topology) -> None:
        labels = [f"{level} {stage.label}" for level, stage in enumerate(topology.stages)]
        self._stages = [StageStatistic(f"{title}: {label}") for label in labels]
        pairs = pairwise(labels)
        self._edges = [EdgeStatistic(f"{title}: {before} > {after}") for before, after in pairs]
        self._last: defaultdict[str, Mapping[str, float]] = defaultdict(dict)
        now = current_clock().monotonic()
        self._stage_meters = [Meter(now) for _ in self._stages]
        self._edge_meters = [Meter(now) for _ in self._edges]

    def report(self, level: int, worker: str, counts: Mapping[str, float]) -> None:
        """Take what a worker counts since its start."""
        last, now = self._last[worker], current_clock().monotonic()
        self._last[worker] = counts
        self._add(self._stages[level], _STAGE, counts, last)
        self._stage_meters[level].add(_growth("handled", counts, last), at=now)
        if level < len(self._edges):
            self._add(self._edges[level], (*_EDGE, "in_flight"), counts, last)
            self._edge_meters[level].add(_growth("sent", counts, last), at=now)

    def ended(self, worker: str) -> None:
        """Note that a worker is gone; the next one in its place counts from 0."""
        last = self._last.pop(worker, {})
        if in_flight := last.get("in_flight"):
            self._edges[int(worker.split(".")[0])].in_flight -= int(in_flight)

    def restarted(self, level: int) -> None:
        """Count a restart."""
        self._stages[level].restarts += 1

    def stats(self) -> DataflowStats:
        """Return everything as records."""
        now = current_clock().monotonic()
        return DataflowStats(
            stages=tuple(
                StageStats(
                    str(one.name),
                    one.received,
                    one.handled,
                    one.failed,
                    one.restarts,
                    one.seconds / one.handled if one.handled else 0.0,
                    meter.rate(at=now),
                    one.written,
                )
                for one, meter in zip(self._stages, self._stage_meters, strict=True)
            ),
            edges=tuple(
                EdgeStats(
                    str(one.name),
                    one.sent,
                    one.sent_bytes,
                    one.acknowledged,
                    one.dropped,
                    one.lost,
                    one.redelivered,
                    one.in_flight,
                    meter.rate(at=now),
                )
                for one, meter in zip(self._edges, self._edge_meters, strict=True)
            ),
        )

    def _add(
        self, statistic: Statistic, names: tuple[str, ...], counts: Mapping[str, float], last: Mapping[str, float]
    ) -> None:
        for name in names:
            difference = counts[name] - last.get(name, 0)
            setattr(statistic, name, getattr(statistic, name) + (difference if name == "seconds" else int(difference)))


def _growth(name: str, counts: Mapping[str, float], last: Mapping[str, float]) -> int:
    return int(counts[name] - last.get(name, 0))
