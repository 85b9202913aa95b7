import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import START

from mainspring.errors import InvalidArgumentError
from mainspring.jobs import DataInterval, JobApp
from mainspring.jobs.engine._store_url import make_store, spool_folder
from mainspring.jobs.stores import MemoryData, MemoryStore, SqliteStore
from mainspring.resilience import Backoff
from mainspring.testing import VirtualClock


def test_memory_is_a_word_and_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MemoryData()
    own = MemoryStore()
    assert make_store(own, memory=data) is own
    assert isinstance(make_store("memory", memory=data), MemoryStore)
    assert isinstance(make_store(Path("memory"), memory=data), SqliteStore)
    monkeypatch.setenv("MAINSPRING_STORE", "memory")
    assert isinstance(make_store(None, memory=data), MemoryStore)
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path))
    assert spool_folder("memory") == tmp_path / "spool"


def test_memory_lasts_as_long_as_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app, other = JobApp("a", store="memory"), JobApp("b", store="memory")

    @app.job()
    async def hello() -> str:
        return "hello"

    async def call() -> str:
        result = (await app.run_job(hello)).check()
        async with app.reading() as reader:
            assert (await reader.run(result.run_id)) is not None
        return result.run_id

    first = asyncio.run(call())
    second = asyncio.run(call())

    async def look(at: JobApp) -> list[str]:
        async with at.reading() as reader:
            return [record.run_id for record in await reader.runs()]

    assert asyncio.run(look(app)) == [second, first]
    assert asyncio.run(look(other)) == []
    assert list(tmp_path.iterdir()) == []


def test_two_months_of_days_under_a_virtual_clock() -> None:
    app = JobApp("shop", store="memory", poll_interval=86_400)
    seen: list[DataInterval] = []

    @app.job(cron="0 0 * * *", retry=Backoff.constant(60.0, max_tries=2))
    async def close_day(data_interval: DataInterval) -> None:
        if data_interval not in seen:
            seen.append(data_interval)
            if data_interval.start.day == 1:
                raise ConnectionError("at the beginning of the month everybody wants something")

    async def two_months() -> None:
        await app.start()
        await asyncio.sleep(timedelta(days=59, hours=1).total_seconds())
        assert await app.watermark(close_day) == START + timedelta(days=59)
        assert await app.gaps(close_day) == []
        await app.stop()

    with VirtualClock(START) as clock:
        clock.run(two_months())
    assert [one.start for one in seen] == [START + timedelta(days=number) for number in range(59)]


def test_the_password_of_a_refused_address_is_not_shown() -> None:
    with pytest.raises(InvalidArgumentError, match=r"store='postgresql://me:\*+@host/jobs' is not accepted"):
        make_store("postgresql://me:hunter2@host/jobs", memory=MemoryData())
