"""What an app counts while it runs: ends, durations, lateness, claims, and how long its store takes.

Numbers of this process since the app was made; nothing here waits or asks the store. A run passes here, so that
each of its ends costs two microseconds and not four, which tuples as keys and a Counter did.
"""

from bisect import bisect_left
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
        if seconds > 0.0:
            self.counts[bisect_left(self.bounds, seconds)] += 1
            self.total += seconds
        else:
            self.counts[0] += 1

    def add(self, other: "Histogram") -> None:
        """Count the values of another one, of the same bounds, too."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    @property
    def count(self) -> int:
        """Values so far."""
        return sum(self.counts)


class JobNumbers:
    """The numbers of one job.

    Attributes:
        ends: attempts that ended here, by the state that the run was then in; RETRYING and AVAILABLE (handed back)
            among them.
        durations: seconds from the start of the last attempt to the end of the run.
        lags: seconds for which an attempt could have been claimed before it was.
        items: items that runs handed to their sinks.
    """

    __slots__ = ("durations", "ends", "items", "lags")

    def __init__(self) -> None:
        self.ends: dict[RunState, int] = {}
        self.durations = Histogram(RUN_BOUNDS)
        self.lags = Histogram(RUN_BOUNDS)
        self.items = 0


class RunMetrics:
    """The numbers of one app.

    Attributes:
        jobs: by job id.
        claim_count: runs that were claimed. claim_calls: questions for them.
        store: seconds that the store took, by call.
        store_errors: calls that the store did not answer, by call: "enqueue", "claim", "finish" (which is sent again).
        refused_calls: calls of `run_job` that made no run, by reason: "unknown_job", "other_arguments" (than those that
            its idempotency key had before), "store".
    """

    __slots__ = ("claim_calls", "claim_count", "jobs", "refused_calls", "store", "store_errors")

    def __init__(self) -> None:
        self.jobs: dict[str, JobNumbers] = {}
        self.claim_count = 0
        self.claim_calls = 0
        self.store: dict[str, Histogram] = {}
        self.store_errors: dict[str, int] = {}
        self.refused_calls: dict[str, int] = {}

    @property
    def ended_count(self) -> int:
        """Attempts that ended here."""
        return sum(count for one in self.jobs.values() for count in one.ends.values())

    def ended(self, record: RunRecord) -> None:
        """Count the end of an attempt."""
        numbers = self.jobs.get(record.job_id)
        if numbers is None:
            numbers = self.jobs[record.job_id] = JobNumbers()
        state, ends = record.state, numbers.ends
        ends[state] = ends.get(state, 0) + 1
        started_at, finished_at = record.started_at, record.finished_at
        if started_at is None or finished_at is None:
            return
        numbers.durations.observe((finished_at - started_at) / 1e6)
        numbers.lags.observe((started_at - record.available_at) / 1e6)
        numbers.items += record.item_count

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

    def store_failed(self, call: str) -> None:
        """Count a call that the store did not answer."""
        self.store_errors[call] = self.store_errors.get(call, 0) + 1

    def refused(self, reason: str) -> None:
        """Count a call that made no run."""
        self.refused_calls[reason] = self.refused_calls.get(reason, 0) + 1
