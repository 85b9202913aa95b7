"""Lists of runs in SQLite: the few that did not succeed are found by an index of their own."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import sqlite_factory

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import RunFilter
from mainspring.jobs.stores._sqlite_reads import list_runs


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (RunFilter(states=frozenset({RunState.FAILED})), "USING INDEX history_trouble (state=?"),
        (RunFilter(states=frozenset({RunState.CANCELLED}), job_id="a"), "USING INDEX history_job_trouble (state=? AND"),
        (RunFilter(states=frozenset({RunState.RUNNING})), "USING INDEX run_held"),
        (RunFilter(states=frozenset({RunState.SUCCEEDED}), job_id="a"), "USING INDEX history_job "),
        (RunFilter(job_id="a"), "USING INDEX history_job "),
    ],
)
async def test_states_have_indexes(which: RunFilter, expected: str, tmp_path: Path) -> None:
    async with sqlite_factory(tmp_path)():
        pass
    asked: list[str] = []
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        connection.set_trace_callback(asked.append)
        assert [] == list_runs(connection, which)
        connection.set_trace_callback(None)
        plans = [str(row[3]) for one in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]
    assert any(expected in plan for plan in plans), plans
    if which.states and RunState.RUNNING not in which.states:
        assert not any("TEMP B-TREE" in plan for plan in plans), plans
