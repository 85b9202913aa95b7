"""Sets of time as disjoint, sorted, half-open ranges of integers: the algebra of done-sets."""

from bisect import bisect_left, bisect_right
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

    def add(self, start: int, end: int) -> None:
        """Add [start, end); an empty range adds nothing."""
        if start >= end:
            return
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start, end = min(start, self._starts[low]), max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take [start, end) out."""
        if start >= end:
            return
        low = bisect_right(self._ends, start)
        high = bisect_left(self._starts, end)
        if low >= high:
            return
        left = [(self._starts[low], start)] if self._starts[low] < start else []
        right = [(end, self._ends[high - 1])] if self._ends[high - 1] > end else []
        self._starts[low:high] = [one for one, _ in (*left, *right)]
        self._ends[low:high] = [one for _, one in (*left, *right)]

    def union(self, other: "RangeSet") -> "RangeSet":
        """Return a new set that holds what either holds."""
        return RangeSet([*self, *other])

    def prefix_end(self, start: int) -> int:
        """Return how far the set reaches from `start` on without a gap; `start` itself when it is not in."""
        index = bisect_right(self._ends, start)
        return self._ends[index] if index < len(self._starts) and self._starts[index] <= start else start

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

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)!r})"

    __hash__ = None  # type: ignore[assignment]  # a mutable set has no hash
