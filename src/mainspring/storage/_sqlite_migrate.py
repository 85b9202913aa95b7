"""Brings the schema of a SQLite file up to date: forward only, under the write lock, in one transaction."""

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mainspring.errors import InvalidArgumentError, StoreOpenError, StoreTooNewError

_THEIRS: Final = "it belongs to another application"
_ANOTHER: Final = "name another file for this store; tables of your own may be put into it once it is made"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a schema: `work` is a script of statements, or a function of the connection."""

    version: int
    work: str | Callable[[sqlite3.Connection], None]


def check_migrations(migrations: Sequence[Migration]) -> None:
    """Refuse a list whose versions are not 1, 2, 3, ...

    Raises:
        InvalidArgumentError: the versions have gaps or are out of order.
    """
    versions = [migration.version for migration in migrations]
    if versions != list(range(1, len(versions) + 1)):
        raise InvalidArgumentError(argument="migrations", value=versions, expected="versions 1, 2, 3, ...")


def application_id(application: str) -> int:
    """Return the positive 31-bit number that marks a file as this application's."""
    return zlib.crc32(application.encode()) & 0x7FFF_FFFF or 1


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], *, application: str, store: str) -> int:
    """Apply what is missing inside the caller's transaction; return the number of steps done.

    Raises:
        StoreTooNewError: the file knows more steps than we do.
        StoreOpenError: the file belongs to another application, or has tables of one that stand in our way.
    """
    mark = application_id(application)
    found, version = _known(connection, migrations, mark, store)
    before = set[str]() if found == mark else _tables(connection)
    if found != mark:
        connection.execute(f"PRAGMA application_id={mark}")
    for migration in migrations[version:]:
        try:
            _apply(connection, migration)
        except sqlite3.OperationalError as error:
            if found == mark or not str(error).endswith("already exists"):
                raise
            raise StoreOpenError(store=store, reason=f"{error}, made by somebody else", hint=_ANOTHER) from error
        connection.execute(f"PRAGMA user_version={migration.version}")
    if before and _tables(connection) != before:  # what was there are not ours, which a step may find and leave alone
        raise StoreOpenError(store=store, reason=_THEIRS, hint=_ANOTHER)
    return len(migrations) - version


def check_current(
    connection: sqlite3.Connection, migrations: Sequence[Migration], *, application: str, store: str
) -> None:
    """Refuse to read what is not exactly of this schema.

    Raises:
        StoreTooNewError: the file knows more steps than we do.
        StoreOpenError: the file belongs to another application, or lacks steps, which only its owner takes.
    """
    found, version = _known(connection, migrations, application_id(application), store)
    hint = "start the app once, which brings it up to date"
    if found == 0 and _tables(connection):
        raise StoreOpenError(store=store, reason=_THEIRS, hint="name the file of the app's own store")
    if found == 0:
        raise StoreOpenError(store=store, reason="nothing was ever stored in it", hint=hint)
    if version < len(migrations):
        reason = f"its schema is of version {version} and not {len(migrations)}"
        raise StoreOpenError(store=store, reason=reason, hint=hint)


def _known(connection: sqlite3.Connection, migrations: Sequence[Migration], mark: int, store: str) -> tuple[int, int]:
    """Return the file's (application, version), if they can be ours."""
    found, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if found not in (0, mark) or (found == 0 and version > 0):  # a version without our mark is theirs
        raise StoreOpenError(store=store, reason=_THEIRS, hint=_ANOTHER)
    if version > len(migrations):
        raise StoreTooNewError(store=store, version=version, known=len(migrations))
    return found, version


def is_current(connection: sqlite3.Connection, migrations: Sequence[Migration], *, application: str) -> bool:
    """Tell without any lock whether there is nothing to do."""
    mark = application_id(application)
    return (_pragma(connection, "application_id"), _pragma(connection, "user_version")) == (
        mark,
        len(migrations),
    )


def is_found(connection: sqlite3.Connection, *, application: str) -> bool:
    """Tell whether somebody else made the file: there is something in it, and not our mark."""
    mark = _pragma(connection, "application_id")
    if mark == application_id(application):
        return False
    return mark != 0 or _pragma(connection, "user_version") != 0 or bool(_tables(connection))


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    if callable(migration.work):
        migration.work(connection)
        return
    for statement in statements(migration.work):
        connection.execute(statement)


def statements(script: str) -> Iterator[str]:
    """Split a script into its statements; `executescript` would commit the transaction around it."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered.strip()
            gathered = ""
    if gathered.strip():
        yield gathered.strip()


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
