"""Apps on a store in a temporary directory, and waiting with a bound."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mainspring.jobs import JobApp

START = datetime(2013, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def make_app(path: Path, **options: Any) -> JobApp:
    options.setdefault("poll_interval", 0.05)
    return JobApp("test", store=path / "state.db", durability="process", **options)


@asynccontextmanager
async def running(app: JobApp) -> AsyncGenerator[JobApp]:
    """Start the app as an entrypoint would, and stop it."""
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


async def eventually(predicate: Callable[[], Awaitable[bool]], *, within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while not await predicate():  # noqa: ASYNC110 (what is awaited changes in other processes too)
            await asyncio.sleep(0.005)


def ran_by(name: str) -> Callable[[], Awaitable[str]]:
    """Return a handler that returns the name of its node."""

    async def handler() -> str:
        return name

    return handler
