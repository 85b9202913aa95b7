"""The stock of a pool: its slots, who holds them, and how instances come, age and go.

A slot is idle (it holds an instance that nobody uses), vacant (it holds none), or held by one caller, who checks,
creates, uses and gives it back. A slot that comes back goes to the first in line; only when the line is empty does
it become idle or vacant, so that nobody overtakes.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Final, Generic, TypeVar  # Any: results of background tasks, unused

from mainspring.base import Backoff, current_clock, current_random
from mainspring.errors import ClosedError, DeadlineExceededError
from mainspring.resilience._pool_records import PoolLimits, PoolStatistic, Slot
from mainspring.resilience._timeout import timeout as time_limit
from mainspring.resilience._waiters import WaitLine

T = TypeVar("T")

log = logging.getLogger(__name__)

_REFILL_BACKOFF: Final = Backoff(0.5, maximum=30.0, jitter="full")


class Stock(Generic[T]):
    """The slots of one pool, and what works on them in the background.

    Args:
        limits: how many there are, and how long an instance lives.
        create: makes an instance.
        destroy: frees one.
        statistic: counts what happens.
    """

    def __init__(
        self,
        limits: PoolLimits,
        *,
        create: Callable[[], Awaitable[T]],
        destroy: Callable[[T], Awaitable[None]],
        statistic: PoolStatistic,
    ) -> None:
        self._limits = limits
        self._create_instance = create
        self._destroy_instance = destroy
        self._statistic = statistic
        self.ages = min(limits.recycle, limits.max_lifetime, limits.max_idle) < math.inf
        # invariant: idle, vacant and held slots are disjoint and maxsize in all; the first two are empty while
        # anyone waits
        self._slots: tuple[Slot[T], ...] = tuple(Slot() for _ in range(limits.maxsize))
        self.idle: deque[Slot[T]] = deque()
        self.vacant = list(self._slots)
        self.size = 0
        self.line: WaitLine[Slot[T]] = WaitLine("the pool", limits.max_waiters)
        self.closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._filling = False
        self._refiller: asyncio.Task[None] | None = None
        self._reaper: asyncio.TimerHandle | None = None
        self._reap_at = math.inf
        self._returned: asyncio.Event | None = None

    def take(self) -> Slot[T] | None:
        """Return an idle slot, or else a vacant one, or None; those who wait have had theirs."""
        if self.idle:
            return self.idle.pop()
        return self.vacant.pop() if self.vacant else None

    def lent(self) -> list[Slot[T]]:
        """Return the slots that borrowers hold."""
        return [slot for slot in self._slots if slot.lent]  # asked for seldom; a flag is cheaper to keep than a set

    async def create(self, slot: Slot[T]) -> None:
        """Put a new instance into a held slot."""
        try:
            instance = await self._create_instance()
        except BaseException:
            self._statistic.create_failed += 1
            raise
        slot.instance = instance
        self.size += 1
        self._statistic.created += 1
        if self.ages:
            now = current_clock().monotonic()
            slot.expires_at = now + self._limits.max_lifetime
            slot.recycle_at = now + self._limits.recycle * (1.0 + current_random().random())

    def is_over(self, slot: Slot[T]) -> bool:
        """Tell whether the instance of a slot is too old to be lent."""
        return self.ages and current_clock().monotonic() >= slot.expires_at

    def give_back(self, slot: Slot[T], *, broken: bool = False) -> None:
        """Take a held slot back, and pass it on: to the first in line, or to the idle or vacant ones."""
        if slot.instance is not None:
            now = current_clock().monotonic() if self.ages else 0.0
            slot.idle_since = now
            if broken or self.closed or now >= slot.recycle_at or now >= slot.expires_at:
                self.discard(slot)
        if self.line.serve(slot):
            pass
        elif slot.instance is None:
            self.vacant.append(slot)
        else:
            self.idle.append(slot)
            if self.ages:
                self._plan_reaping(self._idle_until(slot))
        self._keep_min_size()

    def release(self, slot: Slot[T]) -> None:
        """Take back what a borrower held."""
        slot.lent = False
        self.give_back(slot)
        if self._returned is not None and not self.lent():
            self._returned.set()

    def discard(self, slot: Slot[T]) -> None:
        """Empty a slot; destroy its instance in the background."""
        instance = slot.instance
        if instance is None:
            return
        slot.vacate()
        self.size -= 1
        self._statistic.destroyed += 1
        self._tasks.add(self._start(self._destroy(instance)))

    async def fill_up(self) -> None:
        """Create instances until there are `min_size`, or no slot is vacant."""
        self._filling = True
        try:
            while self.size < self._limits.min_size and self.vacant and not self.closed:
                slot = self.vacant.pop()
                try:
                    await self.create(slot)
                finally:
                    self.give_back(slot)
        finally:
            self._filling = False

    async def clear(self) -> None:
        """Destroy what is idle, and wait for that."""
        self._empty_idle()
        await self.finish_tasks()
        self._refiller = None  # a task that was cancelled before it began has not said so

    async def close(self, grace: float, *, name: str) -> None:
        """Send away who waits, and destroy all instances: those in use after `grace` seconds."""
        self.closed = True
        self.line.fail(lambda: ClosedError(what=name))
        self._empty_idle()
        try:
            if grace and self.lent():
                await self._wait_for_borrowers(grace)
        finally:
            for slot in self.lent():
                self.discard(slot)
        await self.finish_tasks()

    async def finish_tasks(self) -> None:
        """Wait until nothing works in the background."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _empty_idle(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
        self._reaper, self._reap_at = None, math.inf
        if self._refiller is not None:
            self._refiller.cancel()
        while self.idle:
            slot = self.idle.pop()
            self.discard(slot)
            self.vacant.append(slot)

    async def _wait_for_borrowers(self, grace: float) -> None:
        returned = self._returned = self._returned or asyncio.Event()
        try:
            async with time_limit(grace):
                await returned.wait()
        except DeadlineExceededError:
            log.warning("%d instances were not brought back within %g s", len(self.lent()), grace)

    async def _destroy(self, instance: T) -> None:
        try:
            async with time_limit(self._limits.destroy_timeout):
                await self._destroy_instance(instance)
        except Exception:  # supervisor: nobody waits for this, and the slot is free already
            self._statistic.destroy_failed += 1
            log.exception("a pooled instance could not be destroyed: %r", instance)

    async def _refill(self) -> None:
        """Fill up in the background, for as long as it takes."""
        try:
            for delay in _REFILL_BACKOFF.delays():
                try:
                    return await self.fill_up()
                except Exception:  # supervisor: the hook may raise anything, and is called again
                    log.warning("no instance for the pool, next try in %.1f s", delay, exc_info=True)
                await asyncio.sleep(delay)
        finally:
            self._refiller = None

    def _idle_until(self, slot: Slot[T]) -> float:
        """Return when an idle slot is to be emptied."""
        spare = self.size > self._limits.min_size
        return min(slot.expires_at, slot.idle_since + self._limits.max_idle if spare else math.inf)

    def _plan_reaping(self, at: float) -> None:
        """See to it that the timer runs at `at` or before."""
        if at < self._reap_at and not self.closed:
            if self._reaper is not None:
                self._reaper.cancel()
            loop = asyncio.get_running_loop()
            self._reap_at = at
            self._reaper = loop.call_at(loop.time() + (at - current_clock().monotonic()), self._reap)

    def _reap(self) -> None:
        """Empty the idle slots whose time is up, those that were idle longest first."""
        self._reaper = None
        self._reap_at = math.inf
        now = current_clock().monotonic()
        for slot in tuple(self.idle):
            if self._idle_until(slot) <= now:
                self.idle.remove(slot)
                self.discard(slot)
                self.vacant.append(slot)
        self._plan_reaping(min(map(self._idle_until, self.idle), default=math.inf))
        self._keep_min_size()

    def _keep_min_size(self) -> None:
        short = self.size < self._limits.min_size and not self.closed
        if short and not self._filling and self._refiller is None:
            refiller = self._start(self._refill())
            self._tasks.add(refiller)
            self._refiller = None if refiller.done() else refiller  # it may be, where tasks start eagerly

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # In an empty context: what runs on behalf of the pool has no part in the deadline of one borrower.
        task = asyncio.get_running_loop().create_task(coroutine, context=Context())
        task.add_done_callback(self._tasks.discard)
        return task
