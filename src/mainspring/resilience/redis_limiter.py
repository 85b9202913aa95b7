"""The bucket of a `GlobalAsyncLimiter` in Redis or Valkey, through redis-py.

One call of a script carries the demand of a whole queue. A call whose answer was lost may have been done all
the same: the next call names its requests among those to give back, and the script drops them first, so that
asking again is safe.
"""

import hashlib
import math
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple, TypeVar  # Any: redis-py, which may be absent

from mainspring.base import load_extra, new_id
from mainspring.errors import LimiterUnavailableError
from mainspring.resilience._call_watch import CallWatch
from mainspring.resilience._limiter_scripts import LOG_PLAN, LOG_TAKE, PACE_PLAN, PACE_TAKE

Algorithm = Literal["log", "gcra"]
T = TypeVar("T")

_MAX_RETURNS: Final = 10_000
"""Tickets that are kept while the server is away; what older ones stand for stays counted for its period."""
_RETURNS_PER_CALL: Final = 1_000


class Ticket(NamedTuple):
    """What was, or may have been, granted by a request of this instance: what it takes to give it back."""

    request: int
    cost: int
    item: int = 0
    """The first of its items; the others follow. An even pace needs neither number."""
    mark: str = ""
    """The pace as it was after the grant; the sliding log does without."""


class Reply(NamedTuple):
    """What a bucket said to a list of costs: one record for all of them, since a call may carry a thousand.

    Args:
        costs: what was asked for.
        granted: how many of them, from the front.
        wait: seconds until the next one fits; 0 when all were granted.
        used: how much of the limit is taken now.
        request: the number of the call; the items of all that it granted count from 0.
        at_us: the server's time, in microseconds since 1970; None for a grant without the server.
        mark: the pace as it was after the last grant.
        here_at: the moment on the clock of this process, of a grant without the server.
    """

    costs: Sequence[int]
    granted: int
    wait: float = 0.0
    used: int = 0
    request: int = 0
    at_us: int | None = None
    mark: str = ""
    here_at: float = 0.0

    def ticket(self, index: int) -> Ticket:
        """Return the ticket of one of the costs."""
        return Ticket(self.request, self.costs[index], sum(self.costs[:index]), self.mark)


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
        self._heads: dict[str, bytes] = {}
        self._own: Any = None
        self._keeper: AsyncGenerator[None] | None = None
        self._timeout = timeout
        self._watch = CallWatch("the call of the server", timeout)
        self._limit = limit
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
        return await _twice(lambda: self._take(costs))

    async def plan(self, costs: Sequence[int]) -> float:
        """Return after how many seconds the last of `costs` fits, when all before it are taken; record nothing.

        Raises:
            LimiterUnavailableError: the server did not answer, or answered with an error.
        """
        wait_us: int = await _twice(lambda: self._run(self.plan_script, _runs(costs)))
        return wait_us / 1e6

    async def close(self) -> None:
        """Close the connection; the next call opens one anew."""
        keeper = self._keeper
        self._own = self._keeper = None
        if keeper is not None:
            await keeper.aclose()

    def forget_connection(self) -> None:
        """Drop what belongs to a loop that is gone."""
        self._own = self._keeper = None
        self._watch = CallWatch("the call of the server", self._timeout)

    async def _take(self, costs: Sequence[int]) -> Reply:
        request = self._next_request  # anew for each try: what a lost one did may be given back long after the next
        self._next_request += 1
        back = self._next_returns()
        known = " ".join(map(self._words_of, back))
        try:
            answer = await self._run(self.take_script, str(request), known, _runs(costs))
        except BaseException:
            self._returns.extend(back)
            if costs and not self._paced:  # a pace is taken back by its mark, which was lost
                # It may have been done all the same, as far as the limit goes.
                self._returns.append(Ticket(request, min(sum(costs), self._limit)))
            raise
        words = answer if isinstance(answer, str) else answer.decode()  # a client of the user's may decode
        granted, wait_us, at_us, used, mark = words.split(" ")
        return Reply(costs, int(granted), int(wait_us) / 1e6, int(used), request, int(at_us), mark)

    def _next_returns(self) -> list[Ticket]:
        """Take what is owed, the oldest first, as much as the script gives back without keeping others waiting."""
        back: list[Ticket] = []
        left = _RETURNS_PER_CALL
        while self._returns and left > 0:
            back.append(self._returns.popleft())
            left -= back[-1].cost
        return back

    def _words_of(self, ticket: Ticket) -> str:
        """Return a ticket as the script reads it."""
        return f"{ticket.mark} {ticket.cost}" if self._paced else f"{ticket.request} {ticket.item} {ticket.cost}"

    async def _run(self, script: str, *words: str) -> Any:
        exceptions = _library("redis.exceptions")
        try:
            with self._watch:
                try:
                    return await self._call("EVALSHA", _sha(script), words)
                except exceptions.NoScriptError:  # a new server, or its scripts were flushed
                    return await self._call("EVAL", script, words)
        except (exceptions.RedisError, OSError) as error:
            raise LimiterUnavailableError(bucket=self.name, reason=str(error) or type(error).__name__) from error

    async def _call(self, command: str, script: str, words: tuple[str, ...]) -> Any:
        if self._given is not None:
            return await self._given.execute_command(command, script, 1, self.name, *self._head, *words)
        connection = self._own or await self._connect()
        # Not through redis-py's client, whose layers take two thirds of the processor time of a call: 60 us of 95.
        await connection.send_packed_command(self._packed(command, script, words))
        return await connection.read_response()

    def _packed(self, command: str, script: str, words: tuple[str, ...]) -> bytes:
        """Return a command as bytes; what does not change from call to call is packed once."""
        head = self._heads.get(script)
        if head is None:
            constant = (command, script, "1", self.name, *map(str, self._head))
            head = self._heads[script] = b"*%d\r\n%b" % (len(constant) + len(words), _bulks(constant))
        return head + _bulks(words)

    async def _connect(self) -> Any:
        redis, retry, backoff = map(_library, ("redis.asyncio", "redis.asyncio.retry", "redis.backoff"))
        # Its own retries would run a script again that was done, without giving back the first time.
        once = retry.Retry(backoff.NoBackoff(), 0)
        # Its own time limits cost two tasks a call before Python 3.12; ours holds for all of it.
        limits = {"socket_timeout": None, "socket_connect_timeout": None}
        # It connects with its first command, and again with the next one after any trouble.
        self._own = redis.ConnectionPool.from_url(self._url, retry=once, **limits).make_connection()
        self._keeper = _keep_open(self._own)
        await anext(self._keeper)
        return self._own


async def _twice(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask, and once more when the connection is lost: the server may have closed it while it was idle."""
    try:
        return await ask()
    except LimiterUnavailableError as error:
        if not isinstance(error.__cause__, _library("redis.exceptions").ConnectionError):
            raise
        return await ask()


async def _keep_open(connection: Any) -> AsyncGenerator[None]:
    """Hold a connection for as long as somebody holds this, and the loop runs; a loop ends its generators first."""
    try:
        yield
    finally:
        await connection.disconnect()


def _runs(costs: Sequence[int]) -> str:
    """Return costs as the scripts read them: each with how many in a row are the same."""
    return " ".join(f"{cost} {len(list(same))}" for cost, same in groupby(costs))


def _bulks(words: Iterable[str]) -> bytes:
    """Return words as the bulk strings of the protocol."""
    return b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in map(str.encode, words))


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@cache
def _library(module: str) -> Any:
    return load_extra(module, feature="GlobalAsyncLimiter", extra="redis")
