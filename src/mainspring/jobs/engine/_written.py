"""What earlier runs wrote as one interval that are several now: a sink that replaces intervals takes it only whole."""

from collections.abc import Container, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from mainspring.base import from_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import DataInterval, RunState, Schedule
from mainspring.jobs.stores import BackfillRow, ReadStore, RunFilter

if TYPE_CHECKING:
    from mainspring.sinks import SinkSet

_PAGE: Final = 1_000
_SUCCEEDED: Final = frozenset({RunState.SUCCEEDED})


class WrittenIntervals:
    """Tells of the longer intervals in a backfill's range (of merged runs, say), as the records of runs have them."""

    def __init__(self, store: ReadStore, sinks: "SinkSet") -> None:
        self._store = store
        self._sinks = sinks
        self._of: dict[str, list[tuple[int, int]]] = {}  # by backfill

    async def of(self, definition: JobDefinition, row: BackfillRow) -> list[tuple[int, int]]:
        """Return those that lie within the range of a backfill that runs all again, oldest first; read once."""
        if row.reprocess != "all" or not self._replaces(definition):
            return []
        if row.backfill_id not in self._of:
            self._of[row.backfill_id] = [
                (start, end)
                for start, end in await self._touching(definition, row)
                if row.start <= start and end <= row.end
            ]
        return self._of[row.backfill_id]

    async def refuse_parts(self, definition: JobDefinition, row: BackfillRow) -> None:
        """Refuse a backfill that would run a part of a longer interval, which its sink would refuse.

        Raises:
            InvalidArgumentError: an end of its range is inside of one.
        """
        if row.reprocess != "all" or not self._replaces(definition):
            return
        for low, high in await self._touching(definition, row):
            ends = f"{_said(low)} to {_said(high)}"
            for argument, value in (("start", row.start), ("end", row.end)):
                if low < value < high:
                    raise InvalidArgumentError(
                        argument=argument,
                        value=_said(value),
                        expected=f"no instant inside of {ends}, which one run has written as a whole",
                        hint=f"begin the backfill at {_said(min(low, row.start))} and end it at "
                        f"{_said(max(high, row.end))}",
                    )

    def keep(self, backfills: Container[str]) -> None:
        """Forget what was read for others: they make no more runs, or are looked at again later."""
        self._of = {one: ranges for one, ranges in self._of.items() if one in backfills}

    def _replaces(self, definition: JobDefinition) -> bool:
        from mainspring.sinks import is_placed  # only open apps ask

        return self._sinks.replaces or (is_placed(definition.sink) and definition.sink.replaces)

    async def _touching(self, definition: JobDefinition, row: BackfillRow) -> list[tuple[int, int]]:
        """Return the longer intervals of succeeded runs that share time with the backfill's range, oldest first."""
        schedule, before = definition.schedule, None
        found: set[tuple[int, int]] = set()
        while schedule is not None:
            page = await self._store.runs(RunFilter(job_id=row.job_id, states=_SUCCEEDED, before=before, limit=_PAGE))
            for run in page:
                start, end = run.interval_start, run.interval_end
                if start is not None and end is not None and start < row.end and end > row.start:
                    found.add((start, end))
            if len(page) < _PAGE:
                break
            before = page[-1].run_id
        return _outermost(found, schedule)


def as_written(
    intervals: Iterator[DataInterval], written: list[tuple[int, int]], order: Literal["asc", "desc"]
) -> Iterator[DataInterval]:
    """Yield the longer intervals that were written in place of what lies in them, the others as they are."""
    left = written[::-1] if order == "asc" else written[:]  # the next one stands at the end
    passed: DataInterval | None = None
    for interval in intervals:
        if passed is not None and passed.start <= interval.start and interval.end <= passed.end:
            continue
        while left and not _comes(left[-1], interval, order):
            left.pop()
        if left and from_us(left[-1][0]) <= interval.start and interval.end <= from_us(left[-1][1]):
            low, high = left.pop()
            passed = interval = DataInterval(from_us(low), from_us(high), interval.zone)
        yield interval


def _comes(written: tuple[int, int], interval: DataInterval, order: Literal["asc", "desc"]) -> bool:
    """Tell whether a longer interval is not behind us when the walk has come to an interval."""
    return from_us(written[1]) > interval.start if order == "asc" else from_us(written[0]) < interval.end


def _outermost(found: set[tuple[int, int]], schedule: Schedule | None) -> list[tuple[int, int]]:
    """Return those that are longer than the schedule's intervals now and inside of no other, oldest first."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda one: (one[0], -one[1])):
        if kept and start < kept[-1][1]:
            continue
        fire = None if schedule is None else schedule.next_fire(from_us(start))
        if fire is not None and fire < from_us(end):
            kept.append((start, end))
    return kept


def _said(instant: int) -> str:
    moment: datetime = from_us(instant)
    return moment.isoformat()
