"""The client of the airline, and the airline as a child process."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

import aiohttp
from aiohttp import web

from mainspring.demo.client import FlightsClient, open_client, running_airline
from mainspring.errors import AirlineRefusedError, CircuitBroken

pytestmark = pytest.mark.extras
HOUR = datetime(2013, 1, 1, 10, tzinfo=UTC)


class Answers:
    """An API that answers every request with one status."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers = {"Retry-After": "2"} if status == 429 else {}

    async def answer(self, request: web.Request) -> web.Response:
        return web.json_response([{"carrier": "UA"}], status=self.status, headers=self.headers)


async def ask(status: int, times: int) -> tuple[FlightsClient, list[BaseException | list[dict[str, object]]]]:
    """Ask an API with that status so many times; return the client and what came of it."""
    application = web.Application()
    application.router.add_get("/flights", Answers(status).answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            client = FlightsClient(session)
            results = [await asyncio.gather(client.flights(HOUR), return_exceptions=True) for _ in range(times)]
            return client, [result for (result,) in results]
    finally:
        await runner.cleanup()


async def test_flights_are_returned() -> None:
    client, results = await ask(200, 1)
    assert [[{"carrier": "UA"}]] == results
    assert 0 == client.opened_count


async def test_requests_above_the_rate_do_not_open_the_breaker() -> None:
    client, results = await ask(429, 30)
    assert all(isinstance(result, AirlineRefusedError) and result.retry_after == 2.0 for result in results)
    assert 0 == client.opened_count


async def test_failures_open_the_breaker() -> None:
    client, results = await ask(503, 30)
    assert 1 == client.opened_count
    assert isinstance(results[-1], CircuitBroken)


async def test_the_airline_runs_as_a_child_and_tells_what_it_did(tmp_path: Path) -> None:
    async with open_client(tmp_path, seed=1) as client:
        assert [] == await client.flights(HOUR.replace(hour=3))
        stats = await client.stats()
    assert (0, 1 / 200) == (stats.rejected, stats.minimum_seconds)


async def test_an_airline_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="before it was ready"):
        async with running_airline(tmp_path / "missing", seed=1):
            pass


async def test_an_airline_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text("#!/bin/sh\necho http://127.0.0.1:9\nexec tail -f /dev/null\n")
    stubborn.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(stubborn))
    monkeypatch.setattr("mainspring.demo.client._END_TIMEOUT", 0.05)
    with pytest.raises(TimeoutError):
        async with running_airline(tmp_path, seed=1) as address:
            assert "http://127.0.0.1:9" == address
