"""The airline's API over HTTP, in this process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

import aiohttp
from aiohttp import web

from mainspring.demo._flight_file import FlightFile
from mainspring.demo._misbehaviour import Misbehaviour, Verdict
from mainspring.demo.airline import Airline, serve

pytestmark = pytest.mark.extras


class Scripted(Misbehaviour):
    """Misbehaves as it is told."""

    def __init__(self, *verdicts: Verdict) -> None:
        super().__init__()
        self._verdicts = list(verdicts)
        self.counts = {200: 1, 429: 0, 500: 0, 503: 0}

    @property
    def minimum_seconds(self) -> float:
        return 0.5

    def judge(self, now: float) -> Verdict:
        return self._verdicts.pop(0)


@asynccontextmanager
async def session(tmp_path: Path, *verdicts: Verdict) -> AsyncGenerator[aiohttp.ClientSession]:
    """Serve one flight at 10:00Z and lend a session to it."""
    path = tmp_path / "flights.csv"
    path.write_text("carrier,time_hour\nUA,2013-01-01T10:00:00Z\n")
    flights = FlightFile(path)
    runner = web.AppRunner(Airline(flights, Scripted(*verdicts)).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession(address) as client:
            yield client
    finally:
        await runner.cleanup()
        flights.close()


async def test_an_hour_is_a_list_of_rows(tmp_path: Path) -> None:
    asked = {"hour": "2013-01-01T10:00:00+00:00"}
    async with (
        session(tmp_path, Verdict(200, delay=0.001)) as client,
        client.get("/flights", params=asked) as reply,
    ):
        assert [{"carrier": "UA", "time_hour": "2013-01-01T10:00:00Z"}] == await reply.json()


async def test_a_refusal_says_when_to_come_back(tmp_path: Path) -> None:
    async with session(tmp_path, Verdict(429, retry_after=0.2), Verdict(500)) as client:
        async with client.get("/flights", params={"hour": "2013-01-01T10:00:00Z"}) as reply:
            assert (429, "1") == (reply.status, reply.headers["Retry-After"])
        async with client.get("/flights", params={"hour": "2013-01-01T10:00:00Z"}) as reply:
            assert (500, False) == (reply.status, "Retry-After" in reply.headers)


@pytest.mark.parametrize("hour", ["", "soon", "2013-01-01T10:00:00"])
async def test_a_bad_hour_is_a_bad_request(tmp_path: Path, hour: str) -> None:
    async with session(tmp_path) as client, client.get("/flights", params={"hour": hour}) as reply:
        assert 400 == reply.status
        assert "hour=" in (await reply.json())["error"]


async def test_stats_tell_the_counts(tmp_path: Path) -> None:
    async with session(tmp_path) as client, client.get("/stats") as reply:
        assert {"counts": {"200": 1, "429": 0, "500": 0, "503": 0}, "minimum_seconds": 0.5} == await reply.json()


async def test_it_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    until = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(tmp_path, until=until, say=address.set_result))
    async with asyncio.timeout(20.0), aiohttp.ClientSession(await address) as client:
        hour = datetime(2013, 1, 1, 3, tzinfo=UTC).isoformat()
        async with client.get("/flights", params={"hour": hour}) as reply:
            assert reply.status in (200, 500)
    until.set()
    await serving
