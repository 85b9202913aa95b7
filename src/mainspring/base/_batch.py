"""The batch kernel: when a batch is full or old enough. Pure: it is told the time and starts nothing."""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from mainspring.errors import InvalidArgumentError

T = TypeVar("T")

_NOTHING: Final = ()


class BatchKernel(Generic[T]):
    """Collects items in order and cuts them into batches by count, bytes or age.

    The caller reads the clock and passes it in as `now`; any clock that never goes back will do. Whoever waits
    for the time bound calls `poll` at `due_at`. An item larger than `max_bytes` travels alone.

    Args:
        max_count: items in a batch, >= 1.
        max_bytes: sum of the sizes in a batch, >= 1; None: sizes do not matter.
        max_seconds: age of the first item at which a batch is cut, >= 0; None: age does not matter.

    Raises:
        InvalidArgumentError: a bound is outside its range.
    """

    __slots__ = ("_bytes", "_items", "_max_bytes", "_max_count", "_max_seconds", "due_at")

    def __init__(self, *, max_count: int, max_bytes: int | None = None, max_seconds: float | None = None) -> None:
        if max_count < 1:
            raise InvalidArgumentError(argument="max_count", value=max_count, expected="at least 1")
        if max_bytes is not None and max_bytes < 1:
            raise InvalidArgumentError(argument="max_bytes", value=max_bytes, expected="at least 1, or None")
        if max_seconds is not None and not max_seconds >= 0:
            raise InvalidArgumentError(argument="max_seconds", value=max_seconds, expected="at least 0, or None")
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._items: list[T] = []
        self._bytes = 0
        self.due_at: float | None = None
        """When the open batch gets too old, by the caller's clock; None while there is nothing to wait for."""

    def __len__(self) -> int:
        """Return how many items are in the open batch."""
        return len(self._items)

    def add(self, item: T, *, now: float, size: int = 0) -> Sequence[list[T]]:
        """Take one item and return the batches that this completed, oldest first: none, one or two."""
        items = self._items
        if self._max_bytes is None:
            items.append(item)
            if len(items) >= self._max_count:
                return (self._take(),)
        elif self._bytes + size >= self._max_bytes or len(items) + 1 >= self._max_count:
            return self._add_and_cut(item, now, size)
        else:
            self._bytes += size
            items.append(item)
        if len(items) == 1 and self._max_seconds is not None:
            self.due_at = now + self._max_seconds
        return _NOTHING

    def poll(self, now: float) -> Sequence[list[T]]:
        """Return the open batch if it is old enough."""
        if self.due_at is None or now < self.due_at:
            return _NOTHING
        return (self._take(),)

    def cut(self) -> Sequence[list[T]]:
        """Return the open batch whatever its size and age; nothing when it is empty."""
        return (self._take(),) if self._items else _NOTHING

    def _add_and_cut(self, item: T, now: float, size: int) -> Sequence[list[T]]:
        """Add an item with which the open batch becomes full, or which fits only into the next one."""
        done: list[list[T]] = []
        limit = self._max_bytes or 0
        if self._items and self._bytes + size > limit:
            done.append(self._take())
        self._items.append(item)
        self._bytes += size
        if self._bytes >= limit or len(self._items) >= self._max_count:
            done.append(self._take())
        elif self._max_seconds is not None:
            self.due_at = now + self._max_seconds
        return done

    def _take(self) -> list[T]:
        items, self._items = self._items, []
        self._bytes = 0
        self.due_at = None
        return items
