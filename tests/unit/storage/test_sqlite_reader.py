"""A reader reads what its owner wrote, and says why it cannot."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.errors import (
    ClosedError,
    StoreCorruptError,
    StoreMissingError,
    StoreOpenError,
    StoreReadOnlyError,
    StoreTooNewError,
)
from mainspring.storage import Migration, SqliteOwner, SqliteReader

STEPS = (Migration(1, "CREATE TABLE t(n INTEGER)"), Migration(2, "CREATE TABLE u(n INTEGER)"))


def reader_of(path: Path, *, application: str = "test") -> SqliteReader:
    return SqliteReader(path, migrations=STEPS, application=application)


async def write(path: Path, steps: tuple[Migration, ...] = STEPS) -> None:
    async with SqliteOwner(path, migrations=steps, application="test") as owner:
        await owner.write(lambda connection: connection.execute("INSERT INTO t VALUES (1)").rowcount)


def rows(connection: sqlite3.Connection) -> list[tuple[int]]:
    return connection.execute("SELECT n FROM t").fetchall()


async def test_it_reads_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await write(path)
    reader = reader_of(path)
    with pytest.raises(ClosedError):
        await reader.read(rows)
    await reader.open()
    assert "open" in repr(reader)
    assert [(1,)] == await reader.read(rows)
    with pytest.raises(StoreReadOnlyError):
        await reader.read(lambda connection: connection.execute("INSERT INTO t VALUES (2)"))
    await write(path)
    assert [(1,), (1,)] == await reader.read(rows)
    await reader.close()
    await reader.close()
    assert "closed" in repr(reader)


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with pytest.raises(StoreMissingError, match="there is no store at"):
        await reader_of(path).open()
    assert not path.exists()
    with pytest.raises(StoreOpenError, match="it is a directory"):  # no app will create it
        await reader_of(tmp_path).open()
    await write(path, STEPS[:1])
    with pytest.raises(StoreOpenError, match="of version 1 and not 2"):
        await reader_of(path).open()
    with pytest.raises(StoreOpenError, match="another application"):
        await reader_of(path, application="other").open()
    await write(path, (*STEPS, Migration(3, "CREATE TABLE v(n INTEGER)")))
    with pytest.raises(StoreTooNewError):
        await reader_of(path).open()
    (tmp_path / "text.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreCorruptError):
        await reader_of(tmp_path / "text.db").open()
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        connection.execute("CREATE TABLE x(n)")
    with pytest.raises(StoreOpenError, match="another application"):
        await reader_of(tmp_path / "theirs.db").open()
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    with pytest.raises(StoreOpenError, match="nothing was ever stored in it"):
        await reader_of(tmp_path / "empty.db").open()
