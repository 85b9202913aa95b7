"""What an app counts while it runs: ends, durations, lateness, claims, and how long its store takes.

Numbers of this process since the app was made; nothing here waits or asks the store.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import RunRecord

RUN_BOUNDS: Final = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
STORE_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)


class Histogram:
    """Counts of values by upper bound, in seconds; the last count is of those above all bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value; a clock that stepped back makes none negative."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """Values so far."""
        return sum(self.counts)


@dataclass(slots=True)
class RunMetrics:
    """The numbers of one app.

    Attributes:
        ends: attempts that ended here, by (job, state the run was then in); `retrying` and `available` (handed back)
            among them.
        durations: seconds from the start of the last attempt to the end of the run, by job.
        lags: seconds for which an attempt could have been claimed before it was, by job.
        items: items that runs handed to their sinks, by job.
        claim_count: runs that were claimed. claim_calls: questions for them.
        store: seconds that the store took, by call.
    """

    ends: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    durations: dict[str, Histogram] = field(default_factory=dict[str, Histogram])
    lags: dict[str, Histogram] = field(default_factory=dict[str, Histogram])
    items: Counter[str] = field(default_factory=Counter[str])
    claim_count: int = 0
    claim_calls: int = 0
    store: dict[str, Histogram] = field(default_factory=dict[str, Histogram])

    def ended(self, record: RunRecord) -> None:
        """Count the end of an attempt."""
        job_id = record.job_id
        self.ends[job_id, record.state.value] += 1
        if record.started_at is None or record.finished_at is None or record.state is RunState.SKIPPED:
            return
        durations = self.durations.get(job_id)
        if durations is None:
            durations = self.durations[job_id] = Histogram(RUN_BOUNDS)
            self.lags[job_id] = Histogram(RUN_BOUNDS)
        durations.observe((record.finished_at - record.started_at) / 1e6)
        self.lags[job_id].observe((record.started_at - record.available_at) / 1e6)
        if record.item_count:
            self.items[job_id] += record.item_count

    def claimed(self, count: int) -> None:
        """Count one claim and the runs it brought."""
        self.claim_calls += 1
        self.claim_count += count

    def stored(self, call: str, seconds: float) -> None:
        """Count how long the store took for a call."""
        histogram = self.store.get(call)
        if histogram is None:
            histogram = self.store[call] = Histogram(STORE_BOUNDS)
        histogram.observe(seconds)
