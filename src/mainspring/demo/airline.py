"""The airline's HTTP API, which the demo runs in a child process: `python -m mainspring.demo.airline FOLDER`.

`GET /flights?hour=2013-01-01T10:00:00Z` answers with the flights of that hour, `GET /stats` with what it did. The first
line that it prints is its address. It ends when its standard input does: it never outlives the demo.
"""

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from aiohttp import web

from mainspring.base import current_clock, use_random
from mainspring.demo._flight_file import FlightFile, find_archive, unpack
from mainspring.demo._misbehaviour import Misbehaviour


class Airline:
    """The handlers of the API."""

    def __init__(self, flights: FlightFile, misbehaviour: Misbehaviour) -> None:
        self._flights = flights
        self._misbehaviour = misbehaviour

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application()
        application.router.add_get("/flights", self.flights)
        application.router.add_get("/stats", self.stats)
        return application

    async def flights(self, request: web.Request) -> web.Response:
        """Answer with the flights of one hour, or misbehave."""
        try:
            hour = datetime.fromisoformat(request.query.get("hour", ""))
        except ValueError:
            return web.json_response({"error": "hour= must be ISO text, as 2013-01-01T10:00:00Z"}, status=400)
        if hour.tzinfo is None:
            return web.json_response({"error": "hour= must say its offset, as Z"}, status=400)
        verdict = self._misbehaviour.judge(current_clock().monotonic())
        if verdict.status != 200:
            headers = {"Retry-After": str(math.ceil(verdict.retry_after))} if verdict.retry_after else {}
            return web.json_response({"error": "not now"}, status=verdict.status, headers=headers)
        if verdict.delay:
            await asyncio.sleep(verdict.delay)
        return web.json_response(self._flights.rows(hour))

    async def stats(self, _request: web.Request) -> web.Response:
        """Answer with the counts by status, and the seconds that these answers take anybody at the API's rate."""
        counts = {str(status): count for status, count in self._misbehaviour.counts.items()}
        return web.json_response({"counts": counts, "minimum_seconds": self._misbehaviour.minimum_seconds})


async def serve(folder: Path, *, until: asyncio.Event, say: Callable[[str], object]) -> None:
    """Serve the flights on a free port of this host until the event is set; `say` hears the address."""
    flights = FlightFile(unpack(find_archive(), folder))
    runner = web.AppRunner(Airline(flights, Misbehaviour()).application(), access_log=None, shutdown_timeout=0.5)
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        say(f"http://{host}:{port}")
        await until.wait()
    finally:
        await runner.cleanup()
        flights.close()


async def _serve_until_end_of_input(folder: Path) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            loop.remove_reader(sys.stdin.fileno())
            ended.set()

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    loop.add_reader(sys.stdin.fileno(), look)
    await serve(folder, until=ended, say=say)


def main() -> None:
    """Run the API of the command line's folder and seed."""
    parser = argparse.ArgumentParser(prog="python -m mainspring.demo.airline")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=2013)
    asked = parser.parse_args()
    with use_random(asked.seed):
        asyncio.run(_serve_until_end_of_input(asked.folder))


if __name__ == "__main__":
    main()
