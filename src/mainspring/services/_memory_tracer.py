"""MemoryTracer: what the memory of a program has grown by since the start, line by line."""

import enum
import logging
import os
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

from mainspring.concurrency import PeriodicCallback, threaded
from mainspring.errors import InvalidArgumentError
from mainspring.runtime import LogBlock, Service
from mainspring.services._running_calls import RunningCalls

log = logging.getLogger(__name__)

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_UNIT: Final = 1024


class GroupBy(enum.Enum):
    """What memory is added up by."""

    lineno = "lineno"
    filename = "filename"
    traceback = "traceback"


class MemoryTracer(Service):
    """Logs every few seconds which lines hold most memory, and how much more than at the start.

    Tracing makes each allocation slower; it ends with the service. The work is done in a thread.

    Attributes:
        interval: seconds from one report to the next.
        top_results: lines in a report.
        group_by: lines, files or tracebacks.
        logger: called with each report.
        frames: how many callers of a line are remembered; more than 1 only for tracebacks and `path`.
        path: a file that each report rewrites with all memory as folded stacks, which flame graph viewers
            open (`speedscope`, `flamegraph.pl`).

    Raises:
        InvalidArgumentError: `top_results` or `frames` is below 1.
    """

    STAT_FORMAT: ClassVar[str] = (
        "%(count)8s | %(count_diff)8s | %(size)8s | %(size_diff)8s | %(traceback)s"  # one line of a report
    )

    interval: float = 5.0
    top_results: int = 20
    group_by: GroupBy = GroupBy.lineno
    logger: Callable[[str], object] = log.info
    frames: int = 1
    path: str | os.PathLike[str] | None = None

    _beat: PeriodicCallback | None = None
    _started_tracing: bool = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for argument, value in (("top_results", self.top_results), ("frames", self.frames)):
            if value < 1:
                raise InvalidArgumentError(argument=argument, value=value, expected="an int >= 1")
        self.group_by = GroupBy(self.group_by)
        self._calls = RunningCalls()

    async def start(self) -> None:
        """Begin to trace, and return."""
        self._started_tracing = not tracemalloc.is_tracing()
        if self._started_tracing:
            tracemalloc.start(self.frames)
        self._first = await threaded(self.take_snapshot)()
        self._beat = PeriodicCallback(self._calls.watch(self.show_stats))
        self._beat.start(self.interval, self.loop, delay=self.interval, shield=True)

    async def stop(self, exception: Any = None) -> None:
        """Report no more, and end the tracing."""
        if self._beat is not None:
            _ = self._beat.stop(return_exceptions=True)
            self._beat = None
        await self._calls.finish()
        if self._started_tracing:
            tracemalloc.stop()

    async def show_stats(self) -> None:
        """Report once."""
        await threaded(self._report)()

    def take_snapshot(self) -> tracemalloc.Snapshot:
        """Return what is held now, without what the tracing itself holds."""
        own = (tracemalloc.__file__, __file__)
        return tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, file) for file in own])

    def compare_snapshot(
        self, before: tracemalloc.Snapshot, now: tracemalloc.Snapshot
    ) -> list[tracemalloc.StatisticDiff]:
        """Return the groups of `now`, those that hold most first, with what they have grown by."""
        changes = now.compare_to(before, self.group_by.value)
        return sorted(changes, key=lambda one: one.size, reverse=True)

    def log_diff(self, changes: Iterable[tracemalloc.StatisticDiff]) -> None:
        """Log the first `top_results` groups as a table."""
        head = {
            "count": "Objects",
            "count_diff": "Obj.Diff",
            "size": "Memory",
            "size_diff": "Mem.Diff",
            "traceback": "Traceback",
        }
        lines = [self.STAT_FORMAT % head]
        for one, _ in zip(changes, range(self.top_results), strict=False):
            lines.append(
                self.STAT_FORMAT
                % {
                    "count": one.count,
                    "count_diff": one.count_diff,
                    "size": self.humanize(one.size),
                    "size_diff": self.humanize(one.size_diff),
                    "traceback": "; ".join(f"{frame.filename}:{frame.lineno}" for frame in one.traceback),
                }
            )
        self.logger(LogBlock("Top memory usage:\n" + "\n".join(lines)))

    @staticmethod
    def humanize(size: float) -> str:
        """Return a number of bytes for people: 1.9KiB."""
        for unit in _UNITS[:-1]:
            if abs(size) < _UNIT:
                return f"{size:.1f}{unit}"
            size /= _UNIT
        return f"{size:.1f}{_UNITS[-1]}"

    def _report(self) -> None:
        snapshot = self.take_snapshot()
        self.log_diff(self.compare_snapshot(self._first, snapshot))
        if self.path is not None:
            write_folded(snapshot, Path(self.path))


def write_folded(snapshot: tracemalloc.Snapshot, path: Path) -> None:
    """Write the memory of each stack as a line `outermost;...;innermost bytes`, all at once."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w") as file:
        for one in snapshot.statistics("traceback"):
            stack = ";".join(f"{frame.filename}:{frame.lineno}".replace(";", ",") for frame in one.traceback)
            file.write(f"{stack} {one.size}\n")
    partial.replace(path)
