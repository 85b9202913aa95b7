"""The demo's client of the airline's API: the API as a child process, one session, and what protects both sides."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp

from mainspring.demo._misbehaviour import RATE
from mainspring.errors import AirlineRefusedError
from mainspring.resilience import CircuitBreaker, CircuitBreakerStates, RateLimit, timeout

_ANSWER_TIMEOUT: Final = 5.0
_END_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class ApiStats:
    """What the API says of itself: requests that it refused for its rate, and the least seconds its answers take."""

    rejected: int
    minimum_seconds: float


class FlightsClient:
    """Asks the API for flights: breaker outside, rate limit and time limit inside.

    The limit is a little above the API's own, so that the API is what decides; it refuses a request now and then.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._limit = RateLimit(RATE + 5, 1.0)
        self._breaker = CircuitBreaker(
            0.5,
            1.0,
            exceptions=(aiohttp.ClientError, OSError),
            exception_inspector=_is_failure,
            broken_time=0.5,
            recovery_time=0.5,
            min_calls=20,
        )
        self._breaker.add_listener(self._note)
        self.opened_count = 0

    async def flights(self, hour: datetime) -> list[dict[str, object]]:
        """Return the flights of one hour.

        Raises:
            AirlineRefusedError: the API refused or failed.
            CircuitBroken: it failed too often lately, and was not asked.
        """
        return await self._breaker.call_async(self._ask, hour)

    async def stats(self) -> ApiStats:
        """Ask the API what it did."""
        async with self._session.get("/stats") as reply:
            said = await reply.json()
        return ApiStats(rejected=said["counts"]["429"], minimum_seconds=said["minimum_seconds"])

    async def _ask(self, hour: datetime) -> list[dict[str, object]]:
        hours = {"hour": hour.isoformat()}
        async with self._limit, timeout(_ANSWER_TIMEOUT), self._session.get("/flights", params=hours) as reply:
            if reply.status != HTTPStatus.OK:
                asked = float(reply.headers.get("Retry-After", 0))
                raise AirlineRefusedError(status=reply.status, retry_after=asked)
            rows: list[dict[str, object]] = await reply.json()
            return rows

    def _note(self, _old: CircuitBreakerStates, new: CircuitBreakerStates) -> None:
        self.opened_count += new is CircuitBreakerStates.BROKEN


def _is_failure(error: BaseException) -> bool:
    return not isinstance(error, AirlineRefusedError) or error.status != HTTPStatus.TOO_MANY_REQUESTS


@asynccontextmanager
async def running_airline(folder: Path, *, seed: int) -> AsyncGenerator[str]:
    """Run the API in a child process for the length of the block, and yield its address."""
    command = ("-m", "mainspring.demo.airline", str(folder), "--seed", str(seed))
    pipe = asyncio.subprocess.PIPE
    # a session of its own, since a terminal's Ctrl-C reaches all of one; it ends with its standard input
    child = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=pipe, stdout=pipe, start_new_session=True
    )
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("a child with pipes has none")
    try:
        address = (await child.stdout.readline()).decode().strip()
        if not address:
            raise ConnectionError(f"the airline's API ended with code {await child.wait()} before it was ready")
        yield address
    finally:
        child.stdin.close()
        await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Wait for the child's end, which its closed standard input asks for; kill it when it takes too long."""
    try:
        async with timeout(_END_TIMEOUT):
            await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@asynccontextmanager
async def open_client(folder: Path, *, seed: int) -> AsyncGenerator[FlightsClient]:
    """Start the API and lend a client of it."""
    async with running_airline(folder, seed=seed) as address, aiohttp.ClientSession(address) as session:
        yield FlightsClient(session)


__all__ = ["ApiStats", "FlightsClient", "open_client", "running_airline"]
