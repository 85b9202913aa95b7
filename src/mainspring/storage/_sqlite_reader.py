"""Reads a SQLite file that other processes own: creates nothing, writes nothing, holds no lock between reads."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from mainspring.errors import ClosedError, StoreMissingError
from mainspring.storage._sqlite_files import has_file
from mainspring.storage._sqlite_migrate import Migration, check_current
from mainspring.storage._sqlite_readers import Readers
from mainspring.storage._sqlite_runner import ThreadRunner

T = TypeVar("T")


class SqliteReader:
    """Reads snapshots of a file; use it from the loop that opened it.

    Args:
        path: the file.
        migrations: the steps of the schema that the reads are written for.
        application: whose file it has to be.
    """

    def __init__(self, path: str | Path, *, migrations: Sequence[Migration], application: str) -> None:
        self.path = Path(path)
        self._migrations = tuple(migrations)
        self._application = application
        self._readers = Readers(self.path)
        self._runner: ThreadRunner | None = None

    async def open(self) -> None:
        """Look whether the file can be read.

        Raises:
            StoreMissingError: there is no such file.
            StoreOpenError: it is a directory, lies where this user may not look, or belongs to another application, or
                its schema is older than ours.
            StoreTooNewError: its schema is newer than ours.
            StoreCorruptError: it is damaged or no database.
        """
        if not has_file(self.path):
            raise StoreMissingError(store=str(self.path))
        self._runner = ThreadRunner(readers=1)
        self._runner.start(_nothing_to_write)
        try:
            check = partial(check_current, migrations=self._migrations, application=self._application)
            await self.read(partial(check, store=str(self.path)))
        except BaseException:
            await self.close()
            raise

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` off the loop in one snapshot of at most a second.

        Raises:
            StoreReadTimeoutError: the snapshot was held for too long.
            ClosedError: the reader is not open.
        """
        if self._runner is None:
            raise ClosedError(what=f"the reader of {self.path}")
        return await self._runner.call(partial(self._readers.read, work))

    async def close(self) -> None:
        """Leave no thread and no descriptor; may be called again."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.stop()
            self._readers.close()

    def __repr__(self) -> str:
        return f"<SqliteReader {self.path} {'closed' if self._runner is None else 'open'}>"


def _nothing_to_write() -> bool:
    return False
