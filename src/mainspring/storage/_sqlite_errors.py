"""Translates SQLite's error codes into the sentences of `mainspring.errors`."""

import os
import sqlite3

from mainspring.errors import (
    StorageError,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreOpenError,
    StoreReadOnlyError,
)


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 when the error did not come from the engine."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection holds the lock that was wanted."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def store_error(error: BaseException, store: str) -> StorageError | None:
    """Return the house's error for one of SQLite's, or None when it is about the statement, not the store."""
    if not isinstance(error, sqlite3.Error):
        return None
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusyError(store=store, reason="another connection holds it", hint="try again")
        case sqlite3.SQLITE_READONLY:
            return StoreReadOnlyError(store=store)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreCorruptError(store=store, detail=str(error))
        case sqlite3.SQLITE_FULL:
            return StoreFullError(store=store)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return _cannot_open(store, error)
        case sqlite3.SQLITE_IOERR:
            return _disk_error(store, error)
        case _:
            return None


def translated(error: BaseException, store: str) -> BaseException:
    """Return the house's error with SQLite's as its cause, or the error itself."""
    mapped = store_error(error, store)
    if mapped is None:
        return error
    mapped.__cause__ = error
    return mapped


def _cannot_open(store: str, error: sqlite3.Error) -> StorageError:
    if os.path.isdir(store):
        return StoreOpenError(store=store, reason="it is a directory", hint="name a file inside of it")
    folder = os.path.dirname(os.path.abspath(store))
    if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
        return StoreReadOnlyError(store=store)
    return StoreOpenError(store=store, reason=str(error))


def _disk_error(store: str, error: sqlite3.Error) -> StorageError:
    return StoreOpenError(
        store=store,
        reason=f"the disk answered with an error ({error})",
        hint="look at the room that is left on its disk, at quotas, and at the system's log",
    )
