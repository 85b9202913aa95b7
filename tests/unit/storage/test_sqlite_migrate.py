import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.errors import StoreOpenError, StoreTooNewError
from mainspring.storage import InlineRunner, Migration, SqliteOwner
from mainspring.storage._sqlite_migrate import application_id, statements

FIRST = Migration(1, "CREATE TABLE a(x); -- one; two\nINSERT INTO a\nVALUES (1);\n")


def add_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE a ADD COLUMN y")


SECOND = Migration(2, add_column)
BROKEN = Migration(2, "CREATE TABLE b(x);\nCREATE TABLE a(x);\n")


async def versions(path: Path, *migrations: Migration, application: str = "mainspring") -> tuple[int, int]:
    owner = SqliteOwner(path, migrations=migrations, runner=InlineRunner(), application=application)
    async with owner:
        version = await owner.read(lambda connection: connection.execute("PRAGMA user_version").fetchone()[0])
        rows = await owner.read(lambda connection: connection.execute("SELECT count(*) FROM a").fetchone()[0])
        return version, rows


async def test_steps_are_applied_once_and_forward(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert await versions(path, FIRST) == (1, 1)
    assert await versions(path, FIRST) == (1, 1)
    assert await versions(path, FIRST, SECOND) == (2, 1)


async def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await versions(path, FIRST)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        await versions(path, FIRST, BROKEN)
    assert await versions(path, FIRST, SECOND) == (2, 1)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    await versions(tmp_path / "a.db", FIRST, SECOND)
    with pytest.raises(StoreTooNewError) as caught:
        await versions(tmp_path / "a.db", FIRST)
    assert (caught.value.version, caught.value.known) == (2, 1)


async def test_a_file_of_another_application_is_refused(tmp_path: Path) -> None:
    await versions(tmp_path / "a.db", FIRST)
    with pytest.raises(StoreOpenError, match="another application"):
        await versions(tmp_path / "a.db", FIRST, application="other")


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ("CREATE TABLE a(n INTEGER)", "table a already exists, made by somebody else"),
        ("CREATE TABLE theirs(n INTEGER)", "another application"),
        ("PRAGMA user_version=1", "another application"),
        ("PRAGMA user_version=9", "another application"),
        ("PRAGMA application_id=7", "another application"),
    ],
)
async def test_a_database_that_somebody_else_made_is_refused_and_left_as_it_was(
    tmp_path: Path, theirs: str, said: str
) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(theirs)
    before = path.read_bytes()
    with pytest.raises(StoreOpenError, match=said):
        await versions(path, FIRST, SECOND)
    assert before == path.read_bytes()


async def test_a_file_of_before_the_mark_that_has_our_tables_is_kept(tmp_path: Path) -> None:
    """A step that makes its table only when it is not there says so."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE a(x)")
    assert (1, 0) == await versions(path, Migration(1, "CREATE TABLE IF NOT EXISTS a(x)"))
    with closing(sqlite3.connect(path)) as connection:
        assert ("wal",) == connection.execute("PRAGMA journal_mode").fetchone()


async def test_tables_that_people_put_into_our_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await versions(path, FIRST)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs(n)")
    assert (2, 1) == await versions(path, FIRST, SECOND)


async def test_without_steps_any_schema_is_left_alone(tmp_path: Path) -> None:
    await versions(tmp_path / "a.db", FIRST, SECOND)
    assert await versions(tmp_path / "a.db", application="other") == (2, 1)


def test_scripts_are_split_where_statements_end() -> None:
    script = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\n  DELETE FROM b;\nEND;\n\nSELECT 1"
    assert [s[:14].rstrip() for s in statements(script)] == ["CREATE TRIGGER", "SELECT 1"]
    assert list(statements("\n\n")) == []


def test_application_ids_are_positive() -> None:
    assert 0 < application_id("mainspring") < 2**31
