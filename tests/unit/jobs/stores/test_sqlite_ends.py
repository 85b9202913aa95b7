"""What begins or ends in SQLite costs as much as the group has runs, whatever the store holds."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import sqlite_factory

from mainspring.jobs.stores._sqlite_sql import statements


async def test_new_runs_look_for_their_own_occurrences_only(tmp_path: Path) -> None:
    plan = await plan_of(tmp_path, "known_occurrences", 1)
    for table in ("run", "history"):
        assert any(f"SEARCH {table} USING COVERING INDEX {table}_occurrence (job_id=? AND" in step for step in plan), (
            plan
        )


@pytest.mark.parametrize("name", ["move_alike", "move_to_history", "delete_live", "live_runs"])
async def test_ends_look_at_their_own_runs_only(name: str, tmp_path: Path) -> None:
    plan = await plan_of(tmp_path, name, 10 if name == "move_to_history" else statements("runs")[name].count("?"))
    assert any("SEARCH run USING PRIMARY KEY (run_id=?)" in step for step in plan), plan
    assert not any("SCAN run" in step for step in plan), plan


async def plan_of(folder: Path, name: str, parameter_count: int) -> list[str]:
    async with sqlite_factory(folder)():
        pass
    with closing(sqlite3.connect(folder / "jobs.db")) as connection:
        explained = f"EXPLAIN QUERY PLAN {statements('runs')[name]}"
        return [str(row[3]) for row in connection.execute(explained, [None] * parameter_count)]
