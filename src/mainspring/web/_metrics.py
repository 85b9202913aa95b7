"""`/metrics`: the numbers of the app, of its store and of the whole program as Prometheus reads them.

Counters and histograms are those of this process since its start. Gauges about the store (queue ages, watermarks,
nodes) are the same whichever node is asked.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from mainspring.base import current_clock, get_statistics
from mainspring.errors import StorageError
from mainspring.jobs import Histogram, JobApp, NodeRow, QueueRow, RunMetrics, StrandedRow
from mainspring.resilience import timeout
from mainspring.sinks import SpoolStats

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_STORE_SECONDS: Final = 5.0  # that a slow store may delay the page; then its gauges are left out
_JOB: Final = ("job",)
JOBS_SHOWN: Final = 500  # jobs with histograms of their own, which are 28 series each
OTHER_JOBS: Final = "(others)"


@dataclass(frozen=True, slots=True)
class StoreNumbers:
    """What the store says of itself."""

    nodes: Sequence[NodeRow]
    queues: Sequence[QueueRow]
    stranded: Sequence[StrandedRow]
    watermarks: Mapping[str, datetime]


async def metrics_page(app: JobApp) -> bytes:
    """Return the page. A store that is out of reach or slow costs its own numbers only."""
    numbers: StoreNumbers | None = None
    with suppress(StorageError, TimeoutError):
        async with timeout(_STORE_SECONDS):
            numbers = await _ask(app)
    registry = CollectorRegistry()
    registry.register(_Numbers(app, numbers))
    return await asyncio.to_thread(generate_latest, registry)  # a second of work for an app of ten thousand jobs


async def _ask(app: JobApp) -> StoreNumbers:
    async with app.reading() as reader:
        return StoreNumbers(
            await reader.nodes(), await reader.queues(), await reader.stranded(), await reader.watermarks()
        )


class _Numbers(Collector):
    """Everything, as it is now."""

    def __init__(self, app: JobApp, store: StoreNumbers | None) -> None:
        self._app = app
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield each family with its samples."""
        yield from self._of_runs()
        yield from self._of_the_store()
        yield from _of_spool(self._app.spool_stats())
        yield from _of_statistics()

    def _of_runs(self) -> Iterator[Metric]:
        metrics = self._app.metrics
        jobs = sorted(metrics.jobs.items())
        what = "Attempts that ended, by what their run then was."
        runs = CounterMetricFamily("mainspring_runs", what, labels=("job", "state"))
        for job, numbers in jobs:
            for state, count in sorted(numbers.ends.items()):
                runs.add_metric((job, state.value), count)
        yield runs
        items = CounterMetricFamily("mainspring_items", "Items that runs handed to their sinks.", labels=_JOB)
        for job, numbers in jobs:
            items.add_metric((job,), numbers.items)
        yield items
        what = "From the start of the last attempt to the end of the run."
        yield _histograms("mainspring_run_duration_seconds", what, "job", busiest(metrics, "durations"))
        what = "For how long an attempt could have begun before it did."
        yield _histograms("mainspring_run_lag_seconds", what, "job", busiest(metrics, "lags"))
        yield _histograms("mainspring_store_seconds", "What the job store took.", "call", metrics.store)
        yield _counters("mainspring_store_errors", "Calls that the store did not answer.", "call", metrics.store_errors)
        yield _counters("mainspring_refused_calls", "Calls that made no run.", "reason", metrics.refused_calls)
        yield _counter("mainspring_claims", "Questions for runs.", metrics.claim_calls)
        yield _counter("mainspring_claimed_runs", "Runs that this process took.", metrics.claim_count)
        yield _gauge("mainspring_running", "Handlers that run in this process.", self._app.running_count)

    def _of_the_store(self) -> Iterator[Metric]:
        store, now = self._store, current_clock().now()
        yield _gauge("mainspring_store_up", "Whether the store answered.", int(store is not None))
        if store is None:
            return
        what = "For how long the oldest run of a queue waits for a claim."
        ages = GaugeMetricFamily("mainspring_queue_age_seconds", what, labels=("queue",))
        for row in store.queues:
            ages.add_metric((row.queue,), max(0.0, now.timestamp() - row.oldest_at / 1e6))
        yield ages
        what = "For how long the oldest run of a job waits that no living node takes."
        strays = GaugeMetricFamily("mainspring_stranded_seconds", what, labels=("job", "queue"))
        for one in store.stranded:
            strays.add_metric((one.job_id, one.queue), max(0.0, now.timestamp() - one.oldest_at / 1e6))
        yield strays
        what = "How long ago the unbroken past of a job ends."
        marks = GaugeMetricFamily("mainspring_watermark_age_seconds", what, labels=_JOB)
        for job, end in store.watermarks.items():
            marks.add_metric((job,), max(0.0, (now - end).total_seconds()))
        yield marks
        yield _gauge("mainspring_nodes", "Nodes of the store that live.", sum(one.alive for one in store.nodes))


def busiest(metrics: RunMetrics, name: Literal["durations", "lags"]) -> dict[str, Histogram]:
    """Return the histograms of the jobs with the most runs by id; those of all others are added up."""
    found: list[tuple[str, Histogram]] = [(job, getattr(one, name)) for job, one in list(metrics.jobs.items())]
    if len(found) <= JOBS_SHOWN:
        return dict(found)
    found.sort(key=lambda pair: pair[1].count, reverse=True)
    others = Histogram(found[0][1].bounds)
    for _, one in found[JOBS_SHOWN:]:
        others.add(one)
    return {**dict(found[:JOBS_SHOWN]), OTHER_JOBS: others}


def _of_spool(stats: SpoolStats) -> Iterator[Metric]:
    yield _gauge("mainspring_spool_letters", "Letters on disk that wait for their sinks.", stats.waiting_count)
    yield _gauge("mainspring_dead_letters", "Letters that are not tried any more.", stats.dead_count)
    yield _gauge("mainspring_spool_bytes", "What the spool of this process takes on disk.", stats.size_bytes)


def _of_statistics() -> Iterator[Metric]:
    """Yield the registry of live statistics; those of one kind and name are added up."""
    sums: dict[tuple[str, str, str], float] = {}
    for result in get_statistics():
        key = (result.kind.__name__, result.metric, result.name or "")
        sums[key] = sums.get(key, 0) + result.value
    families: dict[str, UnknownMetricFamily] = {}
    for (kind, metric, name), value in sorted(sums.items()):
        title = f"mainspring_{_snake(kind.removesuffix('Statistic'))}_{metric}"
        family = families.get(title)
        if family is None:
            family = families[title] = UnknownMetricFamily(title, f"{metric} of {kind}.", labels=("name",))
        family.add_metric((name,), value)
    yield from families.values()


def _snake(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(name, what, value=value)


def _counters(name: str, what: str, label: str, found: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, what, labels=(label,))
    for key, count in sorted(found.items()):
        family.add_metric((key,), count)
    return family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _histograms(name: str, what: str, label: str, found: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, what, labels=(label,))
    for key, histogram in sorted(found.items()):
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*map(repr, histogram.bounds), "+Inf"), histogram.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric((key,), buckets, histogram.total)
    return family
