import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.errors import StoreTakenError
from mainspring.jobs.stores import AppName, SqliteStore
from mainspring.jobs.stores._sqlite_reader import APPLICATION, VERSIONS, migrations
from mainspring.storage import InlineRunner, SqliteOwner

FLIGHTS, SALES = AppName("flights"), AppName("sales")


def store_at(path: Path) -> SqliteStore:
    return SqliteStore(path, durability="memory", runner=InlineRunner())


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


async def test_a_store_of_a_schema_without_apps_goes_to_the_first_that_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    before = [step for step in migrations() if "store_app" not in str(step.work)][:12]
    old = SqliteOwner(path, migrations=before, application=APPLICATION, runner=InlineRunner())
    await old.open()
    await old.close()
    store = store_at(path)
    await store.open(app=FLIGHTS)
    assert ("flights", VERSIONS[-1]) == (await store.owner_label(), version_of(path))
    await store.close()
    with pytest.raises(StoreTakenError):
        await store_at(path).open(app=SALES)


async def test_a_store_of_another_app_is_refused_before_its_schema_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = store_at(path)
    await store.open(app=FLIGHTS)
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSIONS[-1] - 1}")  # as if ours had one step more
    with pytest.raises(StoreTakenError):
        await store_at(path).open(app=SALES)
    assert VERSIONS[-1] - 1 == version_of(path)


def nobody(_: sqlite3.Connection) -> None: ...


async def test_who_loses_the_race_is_refused_by_the_write_and_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = store_at(tmp_path / "jobs.db"), store_at(tmp_path / "jobs.db")
    await first.open(app=FLIGHTS)
    monkeypatch.setattr("mainspring.jobs.stores._sqlite.owner_of", nobody)  # is what it saw when it looked
    with pytest.raises(StoreTakenError):
        await late.open(app=SALES)
    assert "closed" in repr(late.owner)
    monkeypatch.undo()
    assert "flights" == await first.owner_label()
    await first.close()
