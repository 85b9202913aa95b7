"""The two jobs of the demo: hourly loads from the API, and the delays of each day once its hours are there."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Final

from mainspring.demo._delays import summarise_day
from mainspring.demo.client import ApiStats, FlightsClient, open_client
from mainspring.jobs import DataInterval, JobApp, JobContext
from mainspring.resilience import Backoff
from mainspring.sinks import SqlTable

ZONE: Final = "America/New_York"
DATABASE: Final = "flights.db"


class FlightsApi:
    """The API of one run of the demo: started when the first job asks for it, and what was seen of it."""

    def __init__(self, state: Path, *, seed: int) -> None:
        self._state = state
        self._seed = seed
        self._client: FlightsClient | None = None
        self.retries = 0

    async def client(self) -> AsyncIterator[FlightsClient]:
        """Lend the client, and start the API for the first one who asks: the app's resource."""
        async with open_client(self._state, seed=self._seed) as client:
            self._client = client
            yield client

    @property
    def opened_count(self) -> int:
        """How often the breaker opened."""
        return 0 if self._client is None else self._client.opened_count

    async def stats(self) -> ApiStats:
        """Ask the API what it did; nothing when nobody needed it."""
        return ApiStats(0, 0.0) if self._client is None else await self._client.stats()


def make_app(state: Path, api: FlightsApi) -> JobApp:
    """Return the demo's jobs, whose store and tables are one file in `state`."""
    database = state / DATABASE
    app = JobApp("flights", store=database)

    @app.job(
        "load_flights",
        cron="0 * * * *",
        timezone=ZONE,
        missed="all",
        retry=Backoff(0.2, maximum=5.0, jitter="full", max_tries=10),
        timeout=60.0,
        resources={"client": api.client},
        sink=SqlTable("flights", replace="interval"),
    )
    async def load_flights(
        ctx: JobContext, client: FlightsClient, data_interval: DataInterval
    ) -> AsyncIterator[dict[str, object]]:
        """Load the flights that were to leave within one hour."""
        api.retries += ctx.attempt > 1
        for row in await client.flights(data_interval.start):
            yield row

    @app.job(
        "daily_delays",
        cron="0 0 * * *",
        timezone=ZONE,
        missed="all",
        needs=("load_flights",),
        retry=3,
        sink=SqlTable("daily_delays", replace="interval"),
    )
    async def daily_delays(ctx: JobContext, data_interval: DataInterval) -> AsyncIterator[dict[str, object]]:
        """Say how late the flights of one day left."""
        day = data_interval.date.isoformat()
        start, end = microseconds(data_interval.start), microseconds(data_interval.end)
        for row in await ctx.cpu(summarise_day, database.absolute(), day, start, end):
            yield row

    return app


def microseconds(instant: datetime) -> int:
    """Return an instant as the tables have it."""
    return int(instant.timestamp()) * 1_000_000
