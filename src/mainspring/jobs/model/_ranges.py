"""Sets of time as disjoint, sorted, half-open ranges of integers: the algebra of done-sets."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of integers kept as disjoint half-open ranges; neighbours that touch are merged.

    >>> done = RangeSet([(0, 10), (20, 30)])
    >>> list(done.gaps(5, 25))
    [(10, 20)]
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(ranges):
            if start >= end:
                continue
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def covers(self, start: int, end: int) -> bool:
        """True when all of [start, end) is in the set."""
        return next(self.gaps(start, end), None) is None

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of [start, end) that are not in the set, lowest first."""
        at = start
        for index in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[index] >= end:
                break
            if at < self._starts[index]:
                yield at, self._starts[index]
            at = self._ends[index]
        if at < end:
            yield at, end

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)!r})"
