"""`GlobalAsyncLimiter`: one limit for all processes that share a Redis or Valkey server.

Callers of one process stand in one line. A task, which lives while anybody waits, asks the server for the whole
line at once, hands out what was granted, sleeps exactly as long as the first in line has to, and asks again:
there is never more than one call under way, and nobody polls. Whoever left the line while the call was under
way is given back with the next call.
"""

import asyncio
import logging
import math
from contextvars import Context
from copy import copy
from functools import partial
from itertools import repeat
from types import TracebackType
from typing import Any, Final, Literal, Self  # Any: a client of redis-py, which may be absent

from mainspring.base import current_clock, runs_here
from mainspring.errors import ClosedError, InvalidArgumentError, LimiterUnavailableError, LimitTimeoutError
from mainspring.resilience._checks import check_count, check_seconds
from mainspring.resilience._limit_kernels import Kernel, PacedKernel, SlidingLog, seconds_until
from mainspring.resilience._limiter import LimiterStatistic, LimiterStats
from mainspring.resilience._waiters import SHORTEST_WAIT, WaitLine
from mainspring.resilience.redis_limiter import Algorithm, RedisBucket, Reply

log = logging.getLogger(__name__)

OnError = Literal["raise", "allow", "local"]

_MAX_COSTS_PER_CALL: Final = 1_000
_SECONDS_UNTIL_ANOTHER_TRY: Final = 1.0


class GlobalAsyncLimiter:
    """Admit at most `max_rate` calls within any `time_period`, over all processes that use the same bucket.

    The bucket is the key `{prefix}:{key}|{max_rate}|{time_period}`, with the numbers as they are written, in the
    layout that older programs use: both may share it. The server's clock decides, so that the clocks of the
    callers do not matter. Callers of one process are served first come, first served; between processes whoever
    asks first. Not thread-safe: use from one loop at a time. Conforms to `Limiter`.

    Args:
        redis_url: as `redis://localhost:6379/0`.
        key: what is limited.
        max_rate: how many calls fit in the window, >= 1.
        time_period: length of the window in seconds, > 0.
        prefix: begins the name of the bucket.
        algorithm: "log" keeps every call of a window, and is exact; "gcra" spaces calls evenly and keeps one
            number, in a bucket whose name ends in `|gcra`.
        burst: how many calls may come at once under "gcra", and the largest cost there; see `GCRA`.
        on_error: what happens when the server cannot be asked: "raise" LimiterUnavailableError; "allow" every
            call; "local" limits this process by itself, to `max_rate` as well.
        redis_timeout: seconds for one call of the server, connecting included.
        max_waiters: how many callers may wait; a further one is refused with TooManyWaitersError.
        client: a `redis.asyncio.Redis` to use in place of `redis_url`; closing it stays yours.
        statistic_name: the name of its counters in `get_statistics()`.

    Raises:
        InvalidArgumentError: an argument is outside its range.

    Example:
        >>> limiter = GlobalAsyncLimiter("redis://localhost:6379/0", "api", max_rate=100, time_period=60)
        >>> async def call() -> None:
        ...     async with limiter:
        ...         ...
        ...     await limiter.acquire(amount=3, timeout=5.0)

    Source: the same sliding log as `RateLimit`, as a sorted set; O(max_rate) memory on the server.
    """

    def __init__(
        self,
        redis_url: str,
        key: str,
        max_rate: int,
        time_period: float = 60,
        prefix: str = "GlobalLimiter",
        *,
        algorithm: Algorithm = "log",
        burst: int = 1,
        on_error: OnError = "raise",
        redis_timeout: float = 5.0,
        max_waiters: int = 10_000,
        client: Any = None,
        statistic_name: str | None = None,
    ) -> None:
        check_count("max_rate", max_rate)
        period = check_seconds("time_period", time_period)
        _check_one_of("algorithm", algorithm, ("log", "gcra"))
        _check_one_of("on_error", on_error, ("raise", "allow", "local"))
        paced = algorithm == "gcra"
        self._limit = check_count("burst", burst) if paced else max_rate
        self._bucket = RedisBucket(
            redis_url,
            client=client,
            name=f"{prefix}:{key}|{max_rate}|{time_period}{'|gcra' if paced else ''}",
            algorithm=algorithm,
            limit=self._limit,
            rate=max_rate,
            period=period,
            timeout=check_seconds("redis_timeout", redis_timeout),
        )
        self._on_error = on_error
        self._local: Kernel = PacedKernel(max_rate, period, burst) if paced else SlidingLog(max_rate, period)
        self._line: WaitLine[_Place] = WaitLine("the global limit", check_count("max_waiters", max_waiters))
        self._statistic = LimiterStatistic(statistic_name)
        self._used = 0
        self._down_until = -math.inf
        self._is_down = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking = asyncio.Lock()  # one call at a time
        self._pump: asyncio.Task[None] | None = None
        self._sleep: asyncio.Future[None] | None = None
        self._sleeps_for: object = None

    async def acquire(self, cost: int = 1, *, amount: int | None = None, timeout: float | None = None) -> None:
        """Wait until so many calls fit, then record them: all together.

        A cancelled waiter leaves no trace.

        Args:
            cost: calls to record, from 1 to the limit.
            amount: another name of `cost`.
            timeout: seconds to wait at most, for the server too; 0 takes only what fits at once; None waits for
                ever.

        Raises:
            ClosedError: the limiter was closed meanwhile.
            InvalidArgumentError: (a ValueError) an argument is outside its range.
            LimiterUnavailableError: the server cannot be asked, and `on_error` is "raise".
            LimitTimeoutError: (a TimeoutError) the time was up.
            MissingExtraError: redis-py is not installed.
            TooManyWaitersError: `max_waiters` callers wait already.
        """
        if amount is not None:
            cost = check_count("amount", amount, at_most=self._limit)
        if timeout is not None:
            await self._acquire_within(cost, check_seconds("timeout", timeout, zero=True))
            return
        if cost != 1:
            check_count("cost", cost, at_most=self._limit)
        line = self._line
        loop = self._loop if runs_here(self._loop) else self._enter_loop()
        if line.futures:
            self._statistic.waited += 1
        future = line.join(loop, cost)
        if self._pump is None or self._sleep is not None:
            self._wake()
        try:  # not by `WaitLine.wait`, which is a coroutine more for each caller
            await future
        except asyncio.CancelledError:
            self._leave(line.quit(future))
            raise

    async def try_acquire(self, cost: int = 1) -> float | None:
        """Record `cost` calls and return None, or return the seconds after which they will fit.

        The answer counts in those who wait in this process. It is exact unless another process is quicker.

        Raises:
            InvalidArgumentError: (a ValueError) `cost` is not between 1 and the limit.
            LimiterUnavailableError: the server cannot be asked, and `on_error` is "raise".
            MissingExtraError: redis-py is not installed.
        """
        check_count("cost", cost, at_most=self._limit)
        self._enter_loop()
        while True:
            async with self._asking:
                waiting = self._line.weights()
                if not waiting:
                    reply = await self._ask([cost])
                    self._statistic.granted += cost * reply.granted
                    wait = reply.wait
                    break
                wait = await self._plan([*waiting, cost])
                if wait:
                    break
            # All of it fits, but nobody asked for those in line yet: they go first.
            if self._sleep is not None:
                _end(self._sleep)
            await asyncio.sleep(0)
        if wait:
            self._statistic.refused += 1
        return wait or None

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: a call counts for its whole window, however short it was."""

    async def close(self) -> None:
        """Close the connection; who waits gets ClosedError. The next use opens it again."""
        pump = self._pump
        if pump is not None:
            pump.cancel()
            await asyncio.wait([pump])
            if self._pump is pump:  # cancelled before its first step, it could not say so
                self._pump = None
        self._line.fail(lambda: ClosedError(what=repr(self)))
        await self._bucket.close()

    def stats(self) -> LimiterStats:
        """Return the counters of this moment; `used` is what the server, or the local limit in its place, said last."""
        counted = self._statistic
        return LimiterStats(
            limit=self._limit,
            used=self._used,
            waiting_count=len(self._line),
            granted_count=counted.granted,
            refused_count=counted.refused,
            timeout_count=counted.timeouts,
        )

    def __repr__(self) -> str:
        down = ", the server is away" if self._is_down else ""
        return f"<GlobalAsyncLimiter {self._bucket.name!r}, {self._used} used, {len(self._line)} waiting{down}>"

    async def _acquire_within(self, cost: int, timeout: float) -> None:
        check_count("cost", cost, at_most=self._limit)
        if timeout == 0:
            served = await self.try_acquire(cost) is None
        else:
            self._enter_loop()
            self._statistic.waited += bool(self._line.futures)
            served = await self._line.wait(cost, timeout=timeout, look=self._wake, left=self._leave) is not None
        if not served:
            self._statistic.timeouts += 1
            raise LimitTimeoutError(waited=timeout, waiting=len(self._line))

    def _enter_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._asking = asyncio.Lock()
            self._pump = self._sleep = None
            self._bucket.forget_connection()
        return loop

    def _wake(self) -> None:
        """See to it that somebody asks for the first in line."""
        if self._pump is None:
            # In an empty context: it works for the whole line, and has no part in the deadline of one caller.
            pump = asyncio.get_running_loop().create_task(self._run(), context=Context())
            self._pump = None if pump.done() else pump  # where tasks start eagerly, it may have asked nobody
        elif self._sleep is not None and self._sleeps_for not in self._line.futures:
            _end(self._sleep)

    def _leave(self, place: "_Place | None") -> None:
        if place is not None:
            self._give_back(place)
        self._wake()

    def _give_back(self, place: "_Place") -> None:
        """Uncount what was granted to a caller that is gone."""
        reply, index = place
        self._statistic.granted -= reply.costs[index]
        if reply.at_us is not None:
            self._bucket.give_back(reply.ticket(index))
        elif self._on_error == "local":
            self._local.take_back(reply.costs[index], reply.here_at)

    async def _run(self) -> None:
        """Ask for the line, one call after the other, as long as anybody waits or anything is to give back."""
        try:
            while self._line.head() or (self._bucket.owes and not self._knows_it_is_down()):
                async with self._asking:
                    callers, costs = self._line.callers(_MAX_COSTS_PER_CALL)
                    reply = await self._ask(costs)
                self._statistic.granted += sum(reply.costs[: reply.granted])
                places = zip(repeat(reply), range(reply.granted), strict=False)
                for place in self._line.serve_callers(callers, places):
                    self._give_back(place)
                if not reply.wait:
                    await asyncio.sleep(0)  # who was served runs first, and may come again: one task for many calls
                elif not self._bucket.owes:
                    again = max(0.0, self._down_until - current_clock().monotonic()) if self._is_down else math.inf
                    await self._sleep_for(callers[reply.granted], min(reply.wait, again))
        except Exception as error:  # noqa: BLE001  # supervisor: whoever waits gets it, none of them can ask himself
            self._line.fail(partial(_twin, error))
        finally:
            self._pump = None

    async def _sleep_for(self, caller: object, seconds: float) -> None:
        """Wait until `caller` may be served, or is gone."""
        if caller not in self._line.futures:
            return
        loop = asyncio.get_running_loop()
        self._sleeps_for = caller
        self._sleep = loop.create_future()
        timer = loop.call_later(max(seconds, SHORTEST_WAIT), _end, self._sleep)
        try:
            await self._sleep
        finally:
            timer.cancel()
            self._sleep = self._sleeps_for = None

    async def _ask(self, costs: list[int]) -> Reply:
        if self._knows_it_is_down():
            return self._substitute(costs)
        try:
            reply = await self._bucket.take(costs)
        except LimiterUnavailableError as error:
            if self._on_error == "raise":
                raise
            self._went_down(error)
            return self._substitute(costs)
        if self._is_down:
            self._is_down = False
            log.warning("%r: the server answers again", self)
        self._used = reply.used
        if self._on_error == "local":
            for cost in costs[: reply.granted]:
                self._local.record(cost, self._local.now())
        return reply

    async def _plan(self, costs: list[int]) -> float:
        if not self._knows_it_is_down():
            try:
                return await self._bucket.plan(costs)
            except LimiterUnavailableError as error:
                if self._on_error == "raise":
                    raise
                self._went_down(error)
        return seconds_until(self._local, costs)

    def _knows_it_is_down(self) -> bool:
        return current_clock().monotonic() < self._down_until

    def _went_down(self, error: LimiterUnavailableError) -> None:
        self._down_until = current_clock().monotonic() + _SECONDS_UNTIL_ANOTHER_TRY
        if not self._is_down:
            self._is_down = True
            means = "every call is allowed" if self._on_error == "allow" else "this process is limited by itself"
            log.warning("%r: %s", self, means, exc_info=error)

    def _substitute(self, costs: list[int]) -> Reply:
        """Answer in place of the server."""
        if self._on_error == "allow":
            return Reply(costs, len(costs))
        kernel, granted, wait = self._local, 0, 0.0
        now = kernel.now()
        for cost in costs:
            wait = max(0.0, kernel.fits_at(cost, now) - now)
            if wait:
                break
            kernel.record(cost, now)
            granted += 1
        self._used = kernel.used(now)
        return Reply(costs, granted, wait, self._used, here_at=now)


_Place = tuple[Reply, int]
"""What a caller gets: the reply with its grant, and which of the costs was its own."""


def _twin(error: Exception) -> Exception:
    """Return a copy for one of several who get the same error."""
    twin = copy(error)
    twin.__cause__ = error
    return twin


def _end(sleep: "asyncio.Future[None]") -> None:
    if not sleep.done():
        sleep.set_result(None)


def _check_one_of(argument: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidArgumentError(argument=argument, value=value, expected=f"one of {known}")
