"""Configs of jobs in SQLite: their versions, and which of them a run starts with."""

import sqlite3
from collections.abc import Sequence

from mainspring.jobs.stores._records import NewRun
from mainspring.jobs.stores._sqlite_rows import CONFIG_VERSION, JOB, LIMITS, RUN, STARTED_AT, Row
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._steering_records import ConfigRow

_CONFIG_AS_OF = LIMITS + 1


class ConfigsInForce:
    """Tells the version with which a run starts; lives as long as its transaction, and asks once per job."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self._now = now
        self._known: dict[tuple[str, int], int | None] = {}
        self._any: bool | None = None

    def of(self, run: NewRun) -> int | None:
        """Return the version of a run that is claimed as it is made."""
        if run.config_version is not None:
            return run.config_version
        return self._at(run.job_id, run.config_as_of)

    def fix(self, rows: Sequence[Row]) -> dict[str, int]:
        """Write down, before it is known as started, which version each claimed run keeps; return those by run."""
        if not self._is_any():
            return {}
        fixed: dict[str, int] = {}
        for row in rows:
            if row[STARTED_AT] is None and row[CONFIG_VERSION] is None:
                version = self._at(row[JOB], row[_CONFIG_AS_OF])
                if version is not None:
                    fixed[row[RUN]] = version
        pairs = [(version, run_id) for run_id, version in fixed.items()]
        self._connection.executemany(statements("configs")["fix"], pairs)
        return fixed

    def _at(self, job_id: str, as_of: int | None) -> int | None:
        if not self._is_any():
            return None
        key = (job_id, self._now if as_of is None else as_of)
        if key not in self._known:
            row = self._connection.execute(statements("configs")["in_force"], key).fetchone()
            self._known[key] = None if row is None else row[0]
        return self._known[key]

    def _is_any(self) -> bool:
        if self._any is None:
            self._any = self._connection.execute(statements("configs")["any"]).fetchone() is not None
        return self._any


def put_config(connection: sqlite3.Connection, row: ConfigRow) -> ConfigRow:
    """Add a version unless its number is taken; return what has the number then. A trigger tells the nodes."""
    values = (row.job_id, row.version, row.value, row.effective_from, row.created_at, row.comment, row.rollback_of)
    connection.execute(statements("configs")["insert"], values)
    return list_configs(connection, row.job_id, row.version + 1, 1)[0]


def list_configs(connection: sqlite3.Connection, job_id: str, before: int | None, limit: int) -> list[ConfigRow]:
    """Return versions of a job, newest first."""
    parameters = (job_id, 2**62 if before is None else before, limit)
    return [_config_row(row) for row in connection.execute(statements("configs")["list"], parameters)]


def _config_row(row: Row) -> ConfigRow:
    value = row[2]
    return ConfigRow(
        job_id=row[0],
        version=row[1],
        value=value if isinstance(value, bytes) else str(value).encode(),  # who edits by hand writes text
        effective_from=row[3],
        created_at=row[4],
        comment=row[5] or "",
        rollback_of=row[6],
    )
