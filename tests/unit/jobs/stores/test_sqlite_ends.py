"""What ends in SQLite costs as much as the group has runs, whatever the store holds."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import sqlite_factory

from mainspring.jobs.stores._sqlite_sql import statements


@pytest.mark.parametrize("name", ["move_alike", "move_to_history", "delete_live", "live_runs"])
async def test_ends_look_at_their_own_runs_only(name: str, tmp_path: Path) -> None:
    async with sqlite_factory(tmp_path)():
        pass
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        statement = statements("runs")[name]
        parameters = [None] * (10 if name == "move_to_history" else statement.count("?"))
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any("SEARCH run USING PRIMARY KEY (run_id=?)" in step for step in plan), plan
    assert not any("SCAN run" in step for step in plan), plan
