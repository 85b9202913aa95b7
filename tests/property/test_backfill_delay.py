"""Between a backfill and the schedule of a job with `delay=` no interval is lost, run twice, or run too early."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.jobs import DataInterval, JobApp
from mainspring.jobs.stores import JobStore, MemoryStore, SqliteStore
from mainspring.storage import InlineRunner
from mainspring.testing import VirtualClock

START = datetime(2013, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def in_memory(_: str) -> JobStore:
    return MemoryStore()


def in_sqlite(folder: str) -> JobStore:
    return SqliteStore(Path(folder) / "state.db", durability="memory", runner=InlineRunner())


@pytest.mark.parametrize(("make_store", "folders"), [(in_memory, nullcontext), (in_sqlite, TemporaryDirectory)])
@settings(max_examples=10, deadline=None)
@given(
    registered=st.integers(0, 240),
    wait=st.integers(0, 150),
    delay=st.sampled_from([0, 10, 59, 60, 61, 150]),
)
def test_each_interval_runs_once_and_not_before_it_is_due(
    make_store: Callable[[str], JobStore],
    folders: Callable[[], AbstractContextManager[str | None]],
    registered: int,
    wait: int,
    delay: int,
) -> None:
    """In seconds: a new job of each minute, `wait` later a backfill of its past, then four minutes of its schedule."""
    ran: list[datetime] = []
    late = timedelta(seconds=delay)

    async def live(store: JobStore) -> None:
        app = JobApp("day", store=store)

        @app.job("load", every=60, missed="all", delay=delay)
        async def load(data_interval: DataInterval) -> None:
            assert clock.now() >= data_interval.end + late
            ran.append(data_interval.start)

        await app.start()
        await asyncio.sleep(wait)
        await (await app.backfill("load", START - 5 * MINUTE, START + 10 * MINUTE)).wait()
        await asyncio.sleep(240)
        await app.stop()

    with folders() as folder, VirtualClock(START + timedelta(seconds=registered)) as clock:
        clock.run(live(make_store(folder or "")))
        ended = clock.now()
    due = {start: start + MINUTE + late for start in (START + n * MINUTE for n in range(-5, 20))}
    assert len(ran) == len(set(ran))
    assert {start for start in due if due[start] <= ended - timedelta(seconds=5)} <= set(ran)  # just due: or not yet
