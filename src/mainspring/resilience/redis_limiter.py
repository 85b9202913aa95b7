"""The bucket of a `GlobalAsyncLimiter` in Redis or Valkey, through redis-py.

One call of a script carries the demand of a whole queue. A call whose answer was lost may have been done all
the same: the next call names its requests among those to give back, and the script drops them first, so that
asking again is safe.
"""

import hashlib
import math
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, NamedTuple  # Any: redis-py, which may be absent

from mainspring.base import load_extra, new_id
from mainspring.errors import LimiterUnavailableError
from mainspring.resilience._limiter_scripts import LOG_PLAN, LOG_TAKE, PACE_PLAN, PACE_TAKE
from mainspring.resilience._timeout import timeout as time_limit

Algorithm = Literal["log", "gcra"]

_MAX_RETURNS: Final = 10_000
"""Requests to give back that are kept while the server is away; older ones stay counted for their period."""
_RETURNS_PER_CALL: Final = 1_000


class Ticket(NamedTuple):
    """One request of this instance that was, or may have been, granted; a tuple, since a call makes many."""

    request: int
    cost: int
    at_us: int = 0
    """The server's time of the grant, in microseconds since 1970."""
    mark: str = ""
    """The pace as it was after the grant; the sliding log does without."""
    here_at: float = 0.0
    """The moment of a grant by the limit of this process, while the server is away."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a bucket said to a list of costs.

    Args:
        tickets: of those that were granted, from the front of the list.
        wait: seconds until the next one fits; 0 when all were granted.
        used: how much of the limit is taken now.
    """

    tickets: Sequence[Ticket]
    wait: float
    used: int = 0


class RedisBucket:
    """A bucket that every process with the same name shares; used from one loop, one call at a time.

    Args:
        url: of the server, as redis-py takes it.
        client: a `redis.asyncio.Redis` in place of a connection of our own; it is not closed.
        name: the key.
        algorithm: "log" for a sorted set with every call, "gcra" for an even pace in one number.
        limit: the largest cost.
        rate: how many calls fit in `period` seconds.
        period: seconds.
        timeout: seconds for a call, connecting included.
    """

    def __init__(
        self,
        url: str,
        *,
        client: Any,
        name: str,
        algorithm: Algorithm,
        limit: int,
        rate: int,
        period: float,
        timeout: float,
    ) -> None:
        self.name = name
        self.take_script, self.plan_script = (LOG_TAKE, LOG_PLAN) if algorithm == "log" else (PACE_TAKE, PACE_PLAN)
        self._paced = algorithm == "gcra"
        self._url = url
        self._given = client
        self._own: Any = None
        self._keeper: AsyncGenerator[None] | None = None
        self._timeout = timeout
        self._head = (limit, rate, math.ceil(period * 1_000_000), new_id())
        self._next_request = 0
        self._returns: deque[Ticket] = deque(maxlen=_MAX_RETURNS)

    @property
    def owes(self) -> bool:
        """Whether there is anything to give back."""
        return bool(self._returns)

    def give_back(self, ticket: Ticket) -> None:
        """Uncount a request with the next call: nobody is there to use it."""
        self._returns.append(ticket)

    async def take(self, costs: Sequence[int]) -> Reply:
        """Give back what is owed, then take from the front of `costs` as many as fit.

        Raises:
            LimiterUnavailableError: the server did not answer, or answered with an error.
        """
        first = self._next_request
        self._next_request += len(costs)
        try:
            return await self._take(first, costs)
        except LimiterUnavailableError as error:
            # A connection that the server closed while it was idle is no reason to give up.
            if not isinstance(error.__cause__, _library("redis.exceptions").ConnectionError):
                raise
            return await self._take(first, costs)

    async def plan(self, costs: Sequence[int]) -> float:
        """Return after how many seconds the last of `costs` fits, when all before it are taken; record nothing.

        Raises:
            LimiterUnavailableError: the server did not answer, or answered with an error.
        """
        wait_us: int = await self._run(self.plan_script, " ".join(map(str, costs)))
        return wait_us / 1e6

    async def close(self) -> None:
        """Close the connection; the next call opens one anew."""
        keeper = self._keeper
        self._own = self._keeper = None
        if keeper is not None:
            await keeper.aclose()

    def forget_connection(self) -> None:
        """Drop a connection whose loop is gone."""
        self._own = self._keeper = None

    async def _take(self, first: int, costs: Sequence[int]) -> Reply:
        back = [self._returns.popleft() for _ in range(min(len(self._returns), _RETURNS_PER_CALL))]
        known = " ".join(f"{one.mark if self._paced else one.request} {one.cost}" for one in back)
        try:
            words = (first, known, " ".join(map(str, costs)))
            granted, wait_us, at_us, used, mark = await self._run(self.take_script, *words)
        except BaseException:
            self._returns.extend(back)
            if not self._paced:  # it may have been done all the same; a pace is taken back by its mark, which was lost
                self._returns.extend(Ticket(first + index, cost) for index, cost in enumerate(costs))
            raise
        mark = mark if isinstance(mark, str) else mark.decode()  # a client of the user's may decode
        tickets = [Ticket(first + index, costs[index], at_us, mark) for index in range(granted)]
        return Reply(tickets, wait_us / 1e6, used)

    async def _run(self, script: str, *words: object) -> Any:
        client = await self._client()
        exceptions = _library("redis.exceptions")
        try:
            async with time_limit(self._timeout):
                try:
                    return await client.evalsha(_sha(script), 1, self.name, *self._head, *words)
                except exceptions.NoScriptError:  # a new server, or its scripts were flushed
                    return await client.eval(script, 1, self.name, *self._head, *words)
        except (exceptions.RedisError, OSError) as error:
            raise LimiterUnavailableError(bucket=self.name, reason=str(error) or type(error).__name__) from error

    async def _client(self) -> Any:
        if self._given is not None:
            return self._given
        if self._own is None:
            redis, retry, backoff = map(_library, ("redis.asyncio", "redis.asyncio.retry", "redis.backoff"))
            # Its own retries would run a script again that was done, without giving back the first time.
            once = retry.Retry(backoff.NoBackoff(), 0)
            # Its own time limits cost two tasks a call before Python 3.12; ours holds for all of it.
            limits = {"socket_timeout": None, "socket_connect_timeout": None}
            self._own = redis.Redis.from_url(self._url, single_connection_client=True, retry=once, **limits)
            self._keeper = _keep_open(self._own)
            await anext(self._keeper)
        return self._own


async def _keep_open(client: Any) -> AsyncGenerator[None]:
    """Hold a client for as long as somebody holds this, and the loop runs; a loop ends its generators first."""
    try:
        yield
    finally:
        await client.aclose()


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@cache
def _library(module: str) -> Any:
    return load_extra(module, feature="GlobalAsyncLimiter", extra="redis")
