"""A SQL transaction over an in-memory database, and runs to write for."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from mainspring.sinks import SinkRun

START = datetime(2013, 1, 1, 5, tzinfo=UTC)


class Database:
    """sqlite3 in memory with a stage table, as a job store lends it."""

    dialect: Literal["sqlite", "postgresql", "mysql"] = "sqlite"

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("CREATE TABLE stage(run_id, fence, sink, sequence, payload)")

    def execute(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self.connection.execute(sql, params).fetchall()

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self.connection.executemany(sql, rows)

    async def put(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> None:
        values = (run.run_id, run.fence, sink_name, sequence, payload)
        self.connection.execute("INSERT INTO stage VALUES (?, ?, ?, ?, ?)", values)


def run_of(
    hour: int = 0,
    *,
    hours: int = 1,
    fence: int = 1,
    job_id: str = "load",
    run_id: str | None = None,
    was: tuple[str, ...] = (),
) -> SinkRun:
    start = START + timedelta(hours=hour)
    run_id = run_id or f"run-{hour}-{fence}"
    return SinkRun(run_id, job_id, fence, 1, start, start, start + timedelta(hours=hours), was, True)


def call_of() -> SinkRun:
    """A run without an interval, as run_job makes."""
    return SinkRun("call", "load", 1, 1, None, None, None, repeats=True)
