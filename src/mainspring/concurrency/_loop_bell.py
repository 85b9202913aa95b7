"""How a thread wakes coroutines that wait for something it makes true.

The rule of `_loop_inbox` once more: a thread makes the condition true *before* it looks at the armed flag, and a
coroutine sets the flag *before* it looks at the condition again. So a wake-up is never lost, and while nobody
waits a thread pays for none.
"""

import asyncio
from collections.abc import Callable

from mainspring.base import outside_work


class LoopBell:
    """Wakes who waits on one loop. `ring()` is safe from any thread, the rest belongs to the loop.

    Args:
        is_outside_work: whether a virtual clock stands still while somebody waits.
    """

    __slots__ = ("_armed", "_is_outside_work", "_loop", "_waiters")

    def __init__(self, *, is_outside_work: bool) -> None:
        self._armed = False
        self._is_outside_work = is_outside_work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    async def wait(self, condition: Callable[[], object]) -> None:
        """Wait until the condition is true. A cancelled waiter leaves no trace."""
        while not condition():
            loop = self._loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            self._armed = True
            outside_work.count += self._is_outside_work
            try:
                if not condition():
                    await waiter
            finally:
                outside_work.count -= self._is_outside_work
                self._waiters.discard(waiter)

    def ring(self) -> None:
        """Wake those who wait, if any do. Call it after the condition has become true."""
        if self._armed and self._loop is not None:
            self._armed = False
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed, and nobody waits any more
                pass

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
