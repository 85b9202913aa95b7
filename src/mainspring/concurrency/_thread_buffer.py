"""A bounded queue from threads to coroutines: threads block when it is full, coroutines wait when it is empty."""

import threading
from collections import deque
from typing import Generic, TypeVar

from mainspring.concurrency._loop_bell import LoopBell

T = TypeVar("T")


class ThreadBuffer(Generic[T]):
    """Items on their way from threads to one loop.

    Items travel in batches by themselves: only a coroutine that waits costs a wake-up, and only a thread that
    waits for room costs a notification, when no more than `low_water` items are left.
    """

    __slots__ = ("_blocked", "_low_water", "_max_size", "_room", "bell", "closed", "items")

    def __init__(self, max_size: int, *, low_water: int, is_outside_work: bool) -> None:
        self.items: deque[T] = deque()
        self.closed = False
        self.bell = LoopBell(is_outside_work=is_outside_work)
        self._max_size = max_size
        self._low_water = low_water
        # Reentrant: the garbage collector may close the buffer anywhere, also under the lock.
        self._room = threading.Condition(threading.RLock())
        self._blocked = 0

    def put(self, item: T, timeout: float | None = None) -> bool | None:
        """Add an item, in a thread; wait while the buffer is full.

        Returns False when the buffer is closed, None when there was no room for `timeout` seconds.
        """
        with self._room:
            if self._max_size and len(self.items) >= self._max_size and not self._wait_for_room(timeout):
                return None
            if self.closed:
                return False
            self.items.append(item)
        self.bell.ring()
        return True

    def pop(self) -> T:
        """Take the oldest item, on the loop.

        Raises:
            IndexError: there is none.
        """
        item = self.items.popleft()
        # The thread counts itself as blocked before it looks at the items, and we take one before we look.
        if self._blocked and len(self.items) <= self._low_water:
            with self._room:
                self._room.notify_all()
        return item

    def close(self) -> None:
        """Take no more items; threads that wait for room go on, and are told. Safe anywhere."""
        with self._room:
            self.closed = True
            self._room.notify_all()
        self.bell.ring()

    def _wait_for_room(self, timeout: float | None) -> bool:
        self._blocked += 1
        try:
            return self._room.wait_for(lambda: self.closed or len(self.items) < self._max_size, timeout)
        finally:
            self._blocked -= 1
