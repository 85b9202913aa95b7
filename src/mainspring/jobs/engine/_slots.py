"""The slots of a node: one for each handler, given back while it waits for other runs.

A handler may wait in several tasks at once. Its slot is given back with the first wait and wanted again when the last
one has ended: if it were wanted earlier, a node with one slot could not run those that the handler still waits for.
Handlers that want theirs back come before runs that are new.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def live_reserve_of(slots: int, wanted: int | None) -> int:
    """Return how many slots backfills leave to other runs: as wanted, or a tenth, but never all of them."""
    return min(max(slots // 10, 1) if wanted is None else wanted, slots - 1)


class Slots:
    """Who of a node's handlers has a slot, who has lent his, and who waits to have it back.

    Args:
        most: handlers that may run at once.
        on_free: called when a new run could begin.
    """

    def __init__(self, most: int, *, on_free: Callable[[], None]) -> None:
        self._most = most
        self._on_free = on_free
        self._waits: Counter[object] = Counter()  # by holder: waits that it is in
        self._lent: set[object] = set()
        self._returning: deque[tuple[object, asyncio.Future[None]]] = deque()
        self.holders: set[object] = set()
        self.reserved = 0

    @property
    def free(self) -> int:
        """Slots that a new run may have."""
        return self._idle - len(self._returning)

    @property
    def _idle(self) -> int:
        return self._most - len(self.holders) - self.reserved + len(self._lent)

    def settle(self) -> None:
        """Give what is free to those who want theirs back, first come, first served."""
        while self._returning and self._idle > 0:
            holder, turn = self._returning.popleft()
            self._take_back(holder, turn)

    def leave(self, holder: object) -> None:
        """Note that a handler has ended."""
        self.holders.discard(holder)
        self._lent.discard(holder)
        self._waits.pop(holder, None)

    async def lend(self, holder: object, awaitable: Awaitable[T]) -> T:
        """Wait for other runs without a slot. A handler that is cancelled goes on at once, to clean up."""
        if holder not in self.holders:  # it has ended, and left a task behind
            return await awaitable
        self._waits[holder] += 1
        self._lent.add(holder)
        self.settle()
        self._on_free()
        try:
            result = await awaitable
            if self._waits[holder] == 1 and holder in self._lent:
                await self._turn(holder)
            return result
        finally:
            if holder in self.holders:
                self._waits[holder] -= 1
                if self._waits[holder] <= 0:
                    del self._waits[holder]
                    self._lent.discard(holder)

    async def _turn(self, holder: object) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append((holder, turn))
        self.settle()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.done() or turn.cancelled():
                self._returning = deque(one for one in self._returning if one[1] is not turn)
            raise

    def _take_back(self, holder: object, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            self._lent.discard(holder)
            turn.set_result(None)
