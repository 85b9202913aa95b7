"""A store that is killed while it is brought up to date stays as it was, and the next one finishes the work."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.jobs.stores import SqliteStore
from mainspring.jobs.stores._sqlite_reader import APPLICATION, VERSIONS, migrations
from mainspring.jobs.stores._sqlite_upkeep import file_version
from mainspring.storage._sqlite_migrate import migrate

ROOT = Path(__file__).resolve().parents[2]
VICTIM = """
import asyncio, sys
from tests.crash.support_traps import set_trap
from mainspring.jobs.stores import SqliteStore

set_trap(sys.argv[2], int(sys.argv[3]))
asyncio.run(SqliteStore(sys.argv[1]).open())
"""
APPLY = "mainspring.storage._sqlite_migrate:_apply"


def store_of_version_1(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN")
        migrate(connection, migrations()[:1], application=APPLICATION, store="old.db")
        connection.execute("INSERT INTO job VALUES ('job', '{}', 4, 5, 6, 0, 7)")
        connection.execute("COMMIT")


def open_and_die(file: Path, trap: str, calls: int) -> None:
    command = [sys.executable, "-c", VICTIM, str(file), trap, str(calls)]
    victim = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert -signal.SIGKILL == victim.returncode, victim.stderr


@pytest.mark.parametrize(
    ("trap", "calls"),
    [
        (f"{APPLY}:before", 1),
        (f"{APPLY}:after", 2),
        (f"{APPLY}:before", len(VERSIONS) - 1),
        (f"{APPLY}:after", len(VERSIONS) - 1),  # all is done but the commit
    ],
)
async def test_a_kill_during_the_update_leaves_the_old_store(tmp_path: Path, trap: str, calls: int) -> None:
    file = tmp_path / "old.db"
    store_of_version_1(file)
    open_and_die(file, trap, calls)
    assert 1 == file_version(file)
    store = SqliteStore(file)
    await store.open()
    (row,) = await store.jobs()
    assert ("job", b"{}", 4) == (row.job_id, row.schedule, row.version)
    assert [] == await store.check()
    await store.close()
    assert VERSIONS[-1] == file_version(file)
