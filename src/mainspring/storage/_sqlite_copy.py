"""Copies a SQLite file while others write to it."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from mainspring.base import new_id, sync_path
from mainspring.errors import InvalidArgumentError, StoreCorruptError, StoreMissingError, StoreOpenError
from mainspring.storage._sqlite_errors import primary_code, translated
from mainspring.storage._sqlite_files import connect_reader, has_file


def copy_database(source: Path, target: Path) -> int:
    """Write one moment of a database into a new file, checked and on disk; return its size in bytes.

    Nobody waits for it but the caller, who is blocked. The target is there as a whole or not at all; what lies in the
    journal of the source is in it.

    Raises:
        InvalidArgumentError: the target exists, or the folder that is to hold it does not.
        StoreMissingError: there is no source.
        StoreCorruptError: the source is damaged.
        StorageError: one of the two cannot be read or written (each its own class).
    """
    if not has_file(source):
        raise StoreMissingError(store=str(source))
    part = target.with_name(f".{target.name}.{new_id()}.part")
    try:
        if target.exists():
            raise InvalidArgumentError(argument="file", value=str(target), expected="a file that does not exist yet")
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _copy(source, part)
        part.rename(target)
        sync_path(target.parent)
        return target.stat().st_size
    except sqlite3.Error as exc:
        full = primary_code(exc) == sqlite3.SQLITE_FULL
        raise translated(exc, str(target if full else source)) from exc
    except (FileNotFoundError, NotADirectoryError) as exc:
        hint = f"make the folder {target.parent} first, or name another one"
        raise InvalidArgumentError(
            argument="file", value=str(target), expected="a file in a folder that exists", hint=hint
        ) from exc
    except OSError as exc:
        hint = f"let this user write into {target.parent}, or name another folder"
        raise StoreOpenError(store=str(target), reason=exc.strerror or str(exc), hint=hint) from exc
    finally:
        with suppress(OSError):  # what went wrong before is what is said
            part.unlink()


def _copy(source: Path, part: Path) -> None:
    with closing(connect_reader(source)) as reader, closing(sqlite3.connect(part)) as writer:
        reader.backup(writer)
        (found,) = writer.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreCorruptError(store=str(source), detail=str(found))
    sync_path(part)
