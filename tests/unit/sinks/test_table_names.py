"""The names that a table of rows may not have are those of the job store's schema."""

import sqlite3
from pathlib import Path

from mainspring.jobs.stores import SqliteStore
from mainspring.sinks._table_names import STORE_TABLES


async def test_every_table_of_the_job_store_is_refused(tmp_path: Path) -> None:
    """Whoever adds a table to the store's schema adds its name to STORE_TABLES."""
    store = SqliteStore(tmp_path / "jobs.db", durability="memory")
    await store.open()
    await store.close()
    connection = sqlite3.connect(tmp_path / "jobs.db")
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert {name for (name,) in names} == STORE_TABLES
    connection.close()
