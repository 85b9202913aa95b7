"""`PoolBase`: a bounded set of instances that are dear to make, lent to one borrower at a time.

The pool counts slots. A slot is idle (it holds an instance that nobody uses), vacant (it holds none), or held
by one caller, who checks, creates, uses and gives it back. Whatever happens to the caller (an error in a hook, a
cancellation at any await), the slot goes back, so that slots are never lost. A slot that comes back goes to the
first in line; only when the line is empty does it become idle or vacant, so nobody overtakes.
"""

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast  # Any: results of background tasks, unused

from mainspring.base import Backoff, current_clock, current_random
from mainspring.errors import ClosedError, DeadlineExceededError, MisuseError, PoolExhaustedError
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._pool_records import PoolStatistic, PoolStats, Slot
from mainspring.resilience._timeout import timeout as time_limit
from mainspring.resilience._waiters import WaitLine

T = TypeVar("T")

log = logging.getLogger(__name__)

_NO_TIME = 1e-9  # what timeout=0 leaves for hooks that do not suspend; a limit of 0 would not even call them
_REFILL_BACKOFF = Backoff(0.5, maximum=30.0, jitter="full")


class PoolBase(ABC, Generic[T]):
    """Lend instances, at most `maxsize` at a time: `async with pool.acquire() as instance:`.

    Subclasses define `_create_instance` and `_destroy_instance`, and may define `_check_instance`. Callers wait
    first come, first served; the instance used last is lent first, so that idle ones can age out. Made outside
    of a loop, used from one loop. Not thread-safe.

    Args:
        maxsize: how many instances may exist at once, >= 1. One that is being destroyed is not counted.
        recycle: seconds after which an instance is destroyed when it comes back, drawn for each between once
            and twice this, so that they do not all go at once; None for never.
        min_size: how many instances to keep ready, from the first use or `async with pool`.
        max_lifetime: seconds after which an instance is never lent again; None for no limit.
        max_idle: seconds after which an idle instance above `min_size` is destroyed; None for never.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        destroy_timeout: seconds that `_destroy_instance` may take in the background.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.
    """

    def __init__(
        self,
        maxsize: int = 10,
        recycle: float | None = None,
        *,
        min_size: int = 0,
        max_lifetime: float | None = None,
        max_idle: float | None = None,
        max_waiters: int = 10_000,
        destroy_timeout: float = 10.0,
        statistic_name: str | None = None,
    ) -> None:
        self._maxsize = check_count("maxsize", maxsize)
        self._min_size = check_count("min_size", min_size, at_least=0, at_most=maxsize)
        # 0 means never as well, as None does: so users of the seed wrote it.
        self._recycle = check_seconds("recycle", recycle) if recycle else math.inf
        self._max_lifetime = math.inf if max_lifetime is None else check_seconds("max_lifetime", max_lifetime)
        self._max_idle = math.inf if max_idle is None else check_seconds("max_idle", max_idle)
        self._ages = min(self._recycle, self._max_lifetime, self._max_idle) < math.inf
        self._destroy_timeout = check_seconds("destroy_timeout", destroy_timeout)
        self._checks = type(self)._check_instance is not PoolBase[T]._check_instance
        # What is plain has nothing to look at when it comes back, or when it is lent: half the time of a loan.
        self._returns_plain = min_size == 0 and not self._ages
        self._lends_plain = self._returns_plain and not self._checks
        # invariant: idle, vacant and held slots are disjoint and maxsize in all; the first two are empty while
        # anyone waits
        self._idle: deque[Slot[T]] = deque()
        self._slots: tuple[Slot[T], ...] = tuple(Slot() for _ in range(maxsize))
        self._vacant = list(self._slots)
        self._size = 0
        self._line: WaitLine[Slot[T]] = WaitLine("the pool", check_count("max_waiters", max_waiters))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._filling = False
        self._refiller: asyncio.Task[None] | None = None
        self._reaper: asyncio.TimerHandle | None = None
        self._reap_at = math.inf
        self._closed = False
        self._returned: asyncio.Event | None = None
        self._statistic = PoolStatistic(statistic_name)

    @abstractmethod
    async def _create_instance(self) -> T:
        """Make an instance; called by the borrower that needs it, and cancelled with it."""

    @abstractmethod
    async def _destroy_instance(self, instance: T) -> None:
        """Free an instance; called in a background task, once for each that was made."""

    async def _check_instance(self, instance: T) -> bool:
        """Tell whether an instance that was idle may be lent; one that may not, or fails here, is replaced."""
        return True

    def acquire(self, *, timeout: float | None = None) -> "PoolContext[T]":
        """Return an `async with` block, good for one use, that lends an instance.

        Entering it waits for a free instance, for the check and, when need be, for the creation of one.

        Args:
            timeout: seconds for all of that; 0 takes only what is there; None waits for ever.

        Raises:
            ClosedError: (on entry) the pool was closed, before or while waiting.
            DeadlineExceededError: (on entry) the time was up while an instance was checked or created.
            InvalidArgumentError: `timeout` is negative or not finite.
            PoolExhaustedError: (on entry) all instances stayed in use for `timeout` seconds.
            TooManyWaitersError: (on entry) `max_waiters` callers wait already.
        """
        loan: PoolContext[T] = PoolContext()
        loan.pool = self
        if timeout is not None:
            loan.timeout = check_seconds("timeout", timeout, zero=True)
        return loan

    def __len__(self) -> int:
        """Return how many instances exist, lent and idle."""
        return self._size

    def stats(self) -> PoolStats:
        """Return the numbers of this moment."""
        return PoolStats(self._maxsize, self._size, len(self._lent()), len(self._idle), len(self._line))

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {state}, {len(self._lent())} used, {len(self._idle)} idle of {self._maxsize}>"

    async def __aenter__(self) -> Self:
        """Make `min_size` instances ready, then return; what their creation raises comes out here."""
        try:
            await self._fill_up()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def __resource__(self) -> AsyncGenerator[Self]:
        """Serve a program as a resource that was given directly: at its end nothing stays idle."""
        try:
            yield self
        finally:
            await self.clear()

    async def clear(self) -> None:
        """Destroy what is idle, and wait for that; the pool goes on, on another loop if it likes."""
        if self._reaper is not None:
            self._reaper.cancel()
        self._reaper, self._reap_at = None, math.inf
        if self._refiller is not None:
            self._refiller.cancel()
        self._empty_idle()
        await self._finish_tasks()
        self._refiller = None  # a task that was cancelled before it began has not said so

    def _empty_idle(self) -> None:
        while self._idle:
            slot = self._idle.pop()
            self._discard(slot)
            self._vacant.append(slot)

    async def close(self, timeout: float | None = None) -> None:
        """Destroy all instances and lend none any more; callers in line get ClosedError.

        Returns when every `_destroy_instance` has ended or used up its `destroy_timeout`.

        Args:
            timeout: seconds that borrowers are given to bring theirs back; None takes them away at once.
        """
        grace = 0.0 if timeout is None else check_seconds("timeout", timeout, zero=True)
        self._closed = True
        self._returns_plain = self._lends_plain = False
        if self._reaper is not None:
            self._reaper.cancel()
        if self._refiller is not None:
            self._refiller.cancel()
        self._line.fail(lambda: ClosedError(what=repr(self)))
        self._empty_idle()
        try:
            if grace and self._lent():
                await self._wait_for_borrowers(grace)
        finally:
            for slot in self._lent():
                self._discard(slot)
        await self._finish_tasks()

    async def _wait_for_borrowers(self, grace: float) -> None:
        returned = self._returned = self._returned or asyncio.Event()
        try:
            async with time_limit(grace):
                await returned.wait()
        except DeadlineExceededError:
            log.warning("%d instances were not brought back within %g s", len(self._lent()), grace)

    async def _finish_tasks(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _checkout(self, loan: "PoolContext[T]") -> T:
        """Get a slot and put a good instance into it; the slot goes back when that fails."""
        if loan.entered:
            raise MisuseError(what="this acquire()", problem="was entered before", hint="call acquire() anew")
        loan.entered = True
        if self._lends_plain and self._idle:
            slot = self._idle.pop()
        else:
            slot = await self._get(loan.timeout)
        slot.lent = True
        self._statistic.acquired += 1
        loan.slot = slot
        return cast("T", slot.instance)  # a slot that was got ready holds one

    async def _get(self, limit: float | None) -> Slot[T]:
        self._refuse_closed()
        started = 0.0 if limit is None else current_clock().monotonic()
        slot = self._take() or await self._wait(limit)
        if slot.instance is None or self._checks or self._ages:
            try:
                if limit is None:
                    await self._prepare(slot)
                else:
                    spent = current_clock().monotonic() - started
                    async with time_limit(max(_NO_TIME, limit - spent)):
                        await self._prepare(slot)
            except BaseException:
                self._give_back(slot, broken=True)
                raise
        if self._closed:  # meanwhile
            self._give_back(slot)
            await self._finish_tasks()
            self._refuse_closed()
        return slot

    def _take(self) -> Slot[T] | None:
        """Return an idle slot, or else a vacant one, or None; those who wait have had theirs."""
        if self._idle:
            return self._idle.pop()
        return self._vacant.pop() if self._vacant else None

    def _lent(self) -> list[Slot[T]]:
        return [slot for slot in self._slots if slot.lent]  # asked for seldom; a flag is cheaper to keep than a set

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedError(what=repr(self))

    async def _wait(self, limit: float | None) -> Slot[T]:
        slot = None
        if limit != 0:
            slot = await self._line.wait(timeout=limit, look=_nothing, left=self._left)
        if slot is None:
            self._statistic.timeouts += 1
            raise PoolExhaustedError(limit=self._maxsize, waited=limit or 0.0)
        return slot

    def _left(self, slot: Slot[T] | None) -> None:
        if slot is not None:  # it was served and cancelled in the same moment
            self._give_back(slot)

    async def _prepare(self, slot: Slot[T]) -> None:
        """Replace the instance of a held slot when it is too old or fails its check; create a missing one."""
        instance = slot.instance
        if instance is not None:
            good = not self._ages or current_clock().monotonic() < slot.expires_at
            if good and self._checks:
                try:
                    good = await self._check_instance(instance)
                except Exception:  # supervisor: an instance that cannot be checked is replaced, whatever the reason
                    log.warning("the check of a pooled instance failed, it is replaced", exc_info=True)
                    good = False
                self._statistic.check_failed += not good
            if good:
                return
            self._discard(slot)
        await self._create(slot)

    async def _create(self, slot: Slot[T]) -> None:
        try:
            instance = await self._create_instance()
        except BaseException:
            self._statistic.create_failed += 1
            raise
        slot.instance = instance
        self._size += 1
        self._statistic.created += 1
        if self._ages:
            now = current_clock().monotonic()
            slot.expires_at = now + self._max_lifetime
            slot.recycle_at = now + self._recycle * (1.0 + current_random().random())

    def _give_back(self, slot: Slot[T], *, broken: bool = False) -> None:
        """Take a held slot back, and pass it on: to the first in line, or to the idle or vacant ones."""
        if slot.instance is not None:
            now = current_clock().monotonic() if self._ages else 0.0
            slot.idle_since = now
            if broken or self._closed or now >= slot.recycle_at or now >= slot.expires_at:
                self._discard(slot)
        if self._line.serve(slot):
            pass
        elif slot.instance is None:
            self._vacant.append(slot)
        else:
            self._idle.append(slot)
            if self._ages:
                self._plan_reaping(self._idle_until(slot))
        self._keep_min_size()

    def _release(self, slot: Slot[T]) -> None:
        """End a loan that is not plain."""
        slot.lent = False
        self._give_back(slot)
        if self._returned is not None and not self._lent():
            self._returned.set()

    def _discard(self, slot: Slot[T]) -> None:
        """Empty a slot; destroy its instance in the background."""
        instance = slot.instance
        if instance is None:
            return
        slot.vacate()
        self._size -= 1
        self._statistic.destroyed += 1
        self._tasks.add(self._start(self._destroy(instance)))

    async def _destroy(self, instance: T) -> None:
        try:
            async with time_limit(self._destroy_timeout):
                await self._destroy_instance(instance)
        except Exception:  # supervisor: nobody waits for this, and the slot is free already
            self._statistic.destroy_failed += 1
            log.exception("a pooled instance could not be destroyed: %r", instance)

    async def _fill_up(self) -> None:
        """Create instances until there are `min_size`, or no slot is vacant."""
        self._filling = True
        try:
            while self._size < self._min_size and self._vacant and not self._closed:
                slot = self._vacant.pop()
                try:
                    await self._create(slot)
                finally:
                    self._give_back(slot)
        finally:
            self._filling = False

    async def _refill(self) -> None:
        """Fill up in the background, for as long as it takes."""
        try:
            for delay in _REFILL_BACKOFF.delays():
                try:
                    return await self._fill_up()
                except Exception:  # supervisor: the hook may raise anything, and is called again
                    log.warning("no instance for the pool, next try in %.1f s", delay, exc_info=True)
                await asyncio.sleep(delay)
        finally:
            self._refiller = None

    def _idle_until(self, slot: Slot[T]) -> float:
        """Return when an idle slot is to be emptied."""
        spare = self._size > self._min_size
        return min(slot.expires_at, slot.idle_since + self._max_idle if spare else math.inf)

    def _plan_reaping(self, at: float) -> None:
        """See to it that the timer runs at `at` or before."""
        if at < self._reap_at and not self._closed:
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
        for slot in tuple(self._idle):
            if self._idle_until(slot) <= now:
                self._idle.remove(slot)
                self._discard(slot)
                self._vacant.append(slot)
        self._plan_reaping(min(map(self._idle_until, self._idle), default=math.inf))
        self._keep_min_size()

    def _keep_min_size(self) -> None:
        short = self._size < self._min_size and not self._closed
        if short and not self._filling and self._refiller is None:
            self._refiller = self._start(self._refill())
            self._tasks.add(self._refiller)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # In an empty context: what runs on behalf of the pool has no part in the deadline of one borrower.
        task = asyncio.get_running_loop().create_task(coroutine, context=Context())
        task.add_done_callback(self._tasks.discard)
        return task


class PoolContext(Generic[T]):
    """One loan: `async with` it once."""

    # Set from outside and not by a constructor, whose call would take a tenth of the time of a loan.
    pool: PoolBase[T]
    entered = False
    slot: Slot[T] | None = None
    timeout: float | None = None

    def __aenter__(self) -> Coroutine[Any, Any, T]:
        return self.pool._checkout(self)  # returned, not awaited: a coroutine less, 0.1 us

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        slot, pool = self.slot, self.pool
        if slot is None:
            return
        self.slot = None
        if pool._returns_plain and not pool._line.futures:
            slot.lent = False
            pool._idle.append(slot)
        else:
            pool._release(slot)


def _nothing() -> None:
    """Stand for a callback that nobody needs."""
