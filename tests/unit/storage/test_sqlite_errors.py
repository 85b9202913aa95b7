import sqlite3
from pathlib import Path

import pytest

from mainspring.errors import (
    StorageError,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreOpenError,
    StoreReadOnlyError,
)
from mainspring.storage._sqlite_errors import is_busy, store_error, translated


def error_of(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("said the engine")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusyError),
        (sqlite3.SQLITE_LOCKED, StoreBusyError),
        (sqlite3.SQLITE_BUSY | 2 << 8, StoreBusyError),
        (sqlite3.SQLITE_READONLY, StoreReadOnlyError),
        (sqlite3.SQLITE_CORRUPT, StoreCorruptError),
        (sqlite3.SQLITE_NOTADB, StoreCorruptError),
        (sqlite3.SQLITE_FULL, StoreFullError),
        (sqlite3.SQLITE_CANTOPEN, StoreOpenError),
        (sqlite3.SQLITE_IOERR, StoreOpenError),
    ],
)
def test_engine_errors_become_sentences(code: int, kind: type[StorageError], tmp_path: Path) -> None:
    store = str(tmp_path / "a.db")
    mapped = translated(error_of(code), store)
    assert type(mapped) is kind
    assert store in str(mapped)
    assert mapped.__cause__ is not None


def test_a_directory_is_named_as_such(tmp_path: Path) -> None:
    assert "it is a directory" in str(store_error(error_of(sqlite3.SQLITE_CANTOPEN), str(tmp_path)))


def test_errors_of_a_statement_stay_what_they_are() -> None:
    for error in (error_of(sqlite3.SQLITE_CONSTRAINT), sqlite3.ProgrammingError("x"), ValueError("x")):
        assert translated(error, "a.db") is error
    assert not is_busy(error_of(sqlite3.SQLITE_ERROR))
