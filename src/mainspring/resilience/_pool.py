"""`PoolBase`: a bounded set of instances that are dear to make, lent to one borrower at a time.

Nothing that happens to a borrower (an error in a hook, a cancellation at any await) loses a slot: `Stock` keeps
them. Here is what a borrower goes through, with a short way for most loans.
"""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Generic, NoReturn, Self, TypeVar

from mainspring.base import current_clock
from mainspring.errors import ClosedError, MisuseError, PoolExhaustedError
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._pool_records import PoolLimits, PoolStatistic, PoolStats, Slot
from mainspring.resilience._pool_stock import Stock
from mainspring.resilience._timeout import timeout as time_limit

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

_NO_TIME: Final = 1e-9  # what timeout=0 leaves for hooks that do not suspend; a limit of 0 would not even call them


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
        limits = PoolLimits(
            maxsize=check_count("maxsize", maxsize),
            min_size=check_count("min_size", min_size, at_least=0, at_most=maxsize),
            # 0 means never as well, as None does: so users of the seed wrote it.
            recycle=check_seconds("recycle", recycle) if recycle else math.inf,
            max_lifetime=math.inf if max_lifetime is None else check_seconds("max_lifetime", max_lifetime),
            max_idle=math.inf if max_idle is None else check_seconds("max_idle", max_idle),
            max_waiters=check_count("max_waiters", max_waiters),
            destroy_timeout=check_seconds("destroy_timeout", destroy_timeout),
        )
        self._maxsize = maxsize
        self._statistic = PoolStatistic(statistic_name)
        self._stock: Stock[T] = Stock(
            limits, create=self._create_instance, destroy=self._destroy_instance, statistic=self._statistic
        )
        self._idle, self._waiting = self._stock.idle, self._stock.line.futures  # nearer by, for the short way
        self._checks = type(self)._check_instance is not PoolBase[T]._check_instance
        # What is plain has nothing to look at when it comes back: half the time of a loan.
        self._returns_plain = min_size == 0 and not self._stock.ages

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
        loan.entered = False
        loan.slot = None
        loan.timeout = None if timeout is None else check_seconds("timeout", timeout, zero=True)
        return loan

    def __len__(self) -> int:
        """Return how many instances exist, lent and idle."""
        return self._stock.size

    def stats(self) -> PoolStats:
        """Return the numbers of this moment."""
        stock = self._stock
        return PoolStats(self._maxsize, stock.size, len(stock.lent()), len(stock.idle), len(stock.line))

    def __repr__(self) -> str:
        state = "closed" if self._stock.closed else "open"
        used = len(self._stock.lent())
        return f"<{type(self).__name__} {state}, {used} used, {len(self._idle)} idle of {self._maxsize}>"

    async def __aenter__(self) -> Self:
        """Make `min_size` instances ready, then return; what their creation raises comes out here."""
        try:
            await self._stock.fill_up()
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
        await self._stock.clear()

    async def close(self, timeout: float | None = None) -> None:
        """Destroy all instances and lend none any more; callers in line get ClosedError.

        Returns when every `_destroy_instance` has ended or used up its `destroy_timeout`.

        Args:
            timeout: seconds that borrowers are given to bring theirs back; None takes them away at once.
        """
        grace = 0.0 if timeout is None else check_seconds("timeout", timeout, zero=True)
        self._returns_plain = False
        await self._stock.close(grace, name=repr(self))

    async def _get(self, limit: float | None, slot: Slot[T] | None = None) -> Slot[T]:
        """Get a slot, unless it is held already, and a good instance in it."""
        stock = self._stock
        started = 0.0 if limit is None else current_clock().monotonic()
        if slot is None:
            if stock.closed:
                raise ClosedError(what=repr(self))
            slot = stock.take() or await self._wait(limit)
        if slot.instance is None or self._checks or stock.ages:
            try:
                if limit is None:
                    if not await self._keeps(slot):
                        await stock.create(slot)
                # Each by itself: a check may swallow its cancellation, and say that the instance is no good.
                elif not await _until(started + limit, self._keeps, slot):
                    await _until(started + limit, stock.create, slot)
            except BaseException:
                stock.give_back(slot, broken=True)
                raise
        if stock.closed:
            await self._refuse_late(slot)
        return slot

    async def _refuse_late(self, slot: Slot[T]) -> NoReturn:
        """Give back a slot that was got ready while the pool was closed."""
        self._stock.give_back(slot)
        await self._stock.finish_tasks()
        raise ClosedError(what=repr(self))

    async def _wait(self, limit: float | None) -> Slot[T]:
        slot = None
        if limit != 0:
            slot = await self._stock.line.wait(timeout=limit, look=_nothing, left=self._left)
        if slot is None:
            self._statistic.timeouts += 1
            raise PoolExhaustedError(limit=self._maxsize, waited=limit or 0.0)
        return slot

    def _left(self, slot: Slot[T] | None) -> None:
        if slot is not None:  # it was served and cancelled in the same moment
            self._stock.give_back(slot)

    async def _keeps(self, slot: Slot[T]) -> bool:
        """Tell whether a held slot has an instance to lend; one that is too old or fails its check is sent away."""
        instance = slot.instance
        if instance is None:
            return False
        if self._stock.is_over(slot):
            self._stock.discard(slot)
            return False
        good = not self._checks or await self._passes(instance)
        if not good:
            self._reject(slot)
        return good

    async def _passes(self, instance: T) -> bool:
        try:
            return await self._check_instance(instance)
        except Exception:  # noqa: BLE001  # supervisor: an instance that cannot be checked is replaced, whatever the reason
            return self._cannot_check()

    def _cannot_check(self) -> bool:
        log.warning("the check of a pooled instance failed, it is replaced", exc_info=True)
        return False

    def _reject(self, slot: Slot[T]) -> None:
        """Empty a slot whose instance did not pass."""
        self._statistic.check_failed += 1
        self._stock.discard(slot)


class PoolContext(Generic[T]):
    """One loan: `async with` it once."""

    # Set from outside and not by a constructor, whose call would take a tenth of the time of a loan.
    __slots__ = ("entered", "pool", "slot", "timeout")

    pool: PoolBase[T]
    entered: bool
    slot: Slot[T] | None
    timeout: float | None

    async def __aenter__(self) -> T:
        if self.entered:
            raise MisuseError(what="this acquire()", problem="was entered before", hint="call acquire() anew")
        self.entered = True
        pool = self.pool
        if pool._idle and pool._returns_plain and (self.timeout is None or not pool._checks):
            slot = pool._idle.pop()
            if pool._checks:
                try:  # here, and not two coroutines further in, which took a third of the time of a loan
                    good = await pool._check_instance(slot.instance)
                except Exception:  # noqa: BLE001  # supervisor: as in _passes
                    good = pool._cannot_check()
                except BaseException:
                    pool._stock.give_back(slot, broken=True)
                    raise
                if not good:
                    pool._reject(slot)
                    slot = await pool._get(None, slot)
                elif pool._stock.closed:  # meanwhile
                    await pool._refuse_late(slot)
        else:
            slot = await pool._get(self.timeout)
        slot.lent = True
        pool._statistic.acquired += 1
        self.slot = slot
        instance: T = slot.instance
        return instance

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        slot, pool = self.slot, self.pool
        if slot is None:
            return
        self.slot = None
        if pool._returns_plain and not pool._waiting:
            slot.lent = False
            pool._idle.append(slot)
        else:
            pool._stock.release(slot)


async def _until(moment: float, call: Callable[[Slot[T]], Awaitable[R]], slot: Slot[T]) -> R:
    """Call with a time limit; a hook that need not wait gets through when the time is up as well."""
    async with time_limit(max(_NO_TIME, moment - current_clock().monotonic())):
        return await call(slot)


def _nothing() -> None:
    """Stand for a callback that nobody needs."""
