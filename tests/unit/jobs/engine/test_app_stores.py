"""Two apps share no jobs, runs or config: a store belongs to one of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.errors import InvalidArgumentError, StoreTakenError
from mainspring.jobs import JobApp
from mainspring.jobs.stores import JobStore, MemoryData, MemoryStore, SqliteStore


def app_of(label: str, store: JobStore | Path | None, **options: Any) -> JobApp:
    """Return an app whose one job has the name that those of other apps have, too."""
    app = JobApp(label, store=store, durability="process", poll_interval=0.05, schedule=False, **options)

    @app.job("load", every=3600)
    async def load() -> str:
        return label

    return app


async def what_it_holds(app: JobApp) -> list[object]:
    async with app.reading() as reader:
        return [await reader.rows(), await reader.runs(), await reader.counts()]


async def test_a_second_app_is_refused_and_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with running(app_of("flights", path)) as first:
        assert "flights" == (await first.run_job("load")).check().value
        before = await what_it_holds(first)
        second = app_of("sales", path)
        for opening in (
            second.open(),
            second.open(runner=False),
            second.open(guest=True),
            second.start(),
            second.run_job("load"),
            second.pause("load"),
            second.prune(),
            second.runs(),
            what_it_holds(second),
        ):
            with pytest.raises(StoreTakenError, match="belongs to the app 'flights', and 'sales' is another one"):
                await opening
        assert "closed" in repr(second)
        assert before == await what_it_holds(first)
        async with second.reading(any_app=True) as reader:
            assert [] == list(await reader.check())


def test_two_apps_of_one_program_do_not_share_the_default_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAINSPRING_STORE", raising=False)
    monkeypatch.delenv("MAINSPRING_STATE_DIR", raising=False)

    async def both() -> None:
        async with running(app_of("flights", None)):
            with pytest.raises(StoreTakenError) as refused:
                await app_of("sales", None).run_job("load")
        hint = refused.value.hint or ""
        assert 'store="sqlite:///sales.db"' in hint
        assert "sales" == (await app_of("sales", Path("sales.db")).run_job("load")).check().value

    asyncio.run(both())


async def test_an_app_that_says_what_it_was_goes_on_where_that_stood(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with running(app_of("flights", path)) as old:
        run = (await old.run_job("load")).check()
        renamed = app_of("departures", path, was=["trains", "flights"])
        async with renamed.reading() as reader:
            assert await reader.run(run.run_id) is not None
        async with running(renamed):
            assert [run.run_id] == [one.run_id for one in await renamed.runs()]
            assert (await old.run_job("load")).ok, "who was open before goes on"
    with pytest.raises(StoreTakenError, match="belongs to the app 'departures'"):
        await app_of("flights", path).open()
    async with running(app_of("departures", path)) as later:
        assert 2 == len(await later.runs())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_one_store_object_serves_one_app(tmp_path: Path, kind: str) -> None:
    store: JobStore = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "state.db", durability="memory")
    async with running(app_of("flights", store)) as first:
        with pytest.raises(StoreTakenError):
            await app_of("sales", store).open()
        assert (await first.run_job("load")).ok


async def test_apps_over_one_memory_are_one_app_or_refused() -> None:
    data = MemoryData()
    async with running(app_of("flights", MemoryStore(data))), running(app_of("flights", MemoryStore(data))) as twin:
        assert (await twin.run_job("load")).ok
        with pytest.raises(StoreTakenError):
            await app_of("sales", MemoryStore(data)).open()


async def test_a_store_that_was_only_brought_up_to_date_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await app_of("sales", path).upgrade()
    async with running(app_of("flights", path)):
        found, latest = await app_of("sales", path).upgrade()
        assert found == latest
    with pytest.raises(StoreTakenError):
        await app_of("sales", path).open()


def test_what_an_app_was_is_a_list() -> None:
    with pytest.raises(InvalidArgumentError, match=r"a list of labels, as \['old'\]"):
        JobApp("new", was="old")
