"""Copies of a SQLite file: whole or not there, whatever happens to it meanwhile."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.storage.support_users import as_nobody, unprivileged

from mainspring.errors import InvalidArgumentError, StoreCorruptError, StoreFullError, StoreMissingError, StoreOpenError
from mainspring.storage import _sqlite_copy, copy_database


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE item(x)")
        connection.executemany("INSERT INTO item VALUES (?)", [("x" * 1000,) for _ in range(1000)])
    return path


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM item").fetchone()[0]
    return found


def test_what_lies_in_the_journal_of_a_writer_is_in_the_copy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("INSERT INTO item VALUES (1)")
        writer.commit()
        writer.execute("INSERT INTO item VALUES (2)")  # not committed
        size = copy_database(source, target)
        assert size == target.stat().st_size
    assert 1001 == count(target)
    assert 0o600 == target.stat().st_mode & 0o777
    assert ["source.db", "target.db"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_target_that_exists_is_left_alone(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    target.write_bytes(b"mine")
    with pytest.raises(InvalidArgumentError):
        copy_database(source, target)
    assert b"mine" == target.read_bytes()


def test_without_a_source_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError):
        copy_database(tmp_path / "source.db", tmp_path / "target.db")
    assert [] == list(tmp_path.iterdir())


def test_a_damaged_source_leaves_no_copy(source: Path, tmp_path: Path) -> None:
    whole = source.read_bytes()
    source.write_bytes(whole[:8192] + os.urandom(len(whole) - 8192))
    with pytest.raises(StoreCorruptError):
        copy_database(source, tmp_path / "target.db")
    source.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorruptError):
        copy_database(source, tmp_path / "target.db")
    assert ["source.db"] == [path.name for path in tmp_path.iterdir()]


def test_a_place_that_cannot_hold_it_is_named(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "missing", source):
        with pytest.raises(
            InvalidArgumentError, match=r"target\.db'.*expected a file in a folder that exists"
        ) as caught:
            copy_database(source, folder / "target.db")
        assert f"make the folder {folder} first, or name another one" == caught.value.hint
    with unprivileged() as folder:
        own = shutil.copy(source, folder)
        Path(own).chmod(0o644)
        (folder / "closed").mkdir(0o700)
        with as_nobody():
            for closed in (folder, folder / "closed"):
                with pytest.raises(StoreOpenError, match=r"target\.db: Permission denied") as refused:
                    copy_database(Path(own), closed / "target.db")
                assert f"let this user write into {closed}, or name another folder" == refused.value.hint

    def full(source: Path, part: Path) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(_sqlite_copy, "_copy", full)
    with pytest.raises(StoreFullError, match=r"target\.db"):
        copy_database(source, tmp_path / "target.db")
    assert ["source.db"] == [path.name for path in tmp_path.iterdir()]
