"""Rows of sinks in memory: a private SQLite database, which exists from the first row on."""

import sqlite3
import weakref

from mainspring.errors import SinkWriteError
from mainspring.jobs.stores._records import Finish
from mainspring.jobs.stores._sqlite_reader import migrations
from mainspring.jobs.stores._sqlite_writes import LostRuns, write_items

_DROP = "DELETE FROM stage WHERE run_id = ?"


class SinkRows:
    """What the finishes of runs have written, and the stage.

    The database has the SQLite store's schema, of which only `stage` is used: a name that one store refuses to a
    table, the other refuses too.
    """

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._staged: set[str] = set()

    def write(self, command: Finish) -> SinkWriteError | None:
        """Apply the rows of a finish; a failure undoes them."""
        lost: LostRuns = {}
        try:
            return write_items(self._opened(), command, lost)
        except sqlite3.OperationalError:
            if not lost:
                raise
        return lost[command.run_id, command.fence]  # no other run is in this transaction

    def stage(self, run_id: str, fence: int, sink_name: str, sequence: int, payload: bytes) -> None:
        """Keep a chunk of rows until the run's attempt ends."""
        sql = "INSERT OR REPLACE INTO stage VALUES (?, ?, ?, ?, ?)"
        self._opened().execute(sql, (run_id, fence, sink_name, sequence, payload))
        self._staged.add(run_id)

    def drop_stage(self, run_id: str) -> None:
        """Forget the chunks of a run."""
        if run_id in self._staged:
            self._staged.discard(run_id)
            self._opened().execute(_DROP, (run_id,))

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, connection.close)
            for migration in migrations():
                connection.executescript(str(migration.work))
            self._connection = connection
        return self._connection
