"""A table with a database of its own that only adds rows: those of one run count once, whatever is repeated."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.sinks.support_tables import call_of, run_of

from mainspring.sinks import SinkRun, SinkSet, SqlTable, _own_database


async def _write(path: Path, run: SinkRun, *numbers: int, sink: str = "one", key: tuple[str, ...] = ()) -> list[int]:
    """Write numbers as a run; return all that are there."""
    table = SqlTable("numbers", database=path, key=key)
    async with SinkSet() as sinks:
        sinks.bind(sink, table)
        session = sinks.session(run, default=table)
        for number in numbers:
            await session.emit({"n": number})
        assert () == await session.finish()
    with closing(sqlite3.connect(path)) as connection:
        assert [(0,)] == connection.execute("SELECT count(*) FROM stage").fetchall()
        return [number for (number,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


@pytest.mark.parametrize("run", [call_of(), run_of()], ids=["call", "interval"])
async def test_what_an_attempt_has_written_no_other_one_writes_again(tmp_path: Path, run: SinkRun) -> None:
    path = tmp_path / "own.db"
    assert [1] == await _write(path, run, 1)
    assert [1] == await _write(path, replace(run, fence=3), 2)
    assert [1] == await _write(path, replace(run, fence=4), *range(6_000))  # more than memory keeps
    assert [1, 3] == await _write(path, replace(run, fence=4), 3, sink="other")
    assert [1, 3, 4] == await _write(path, replace(run, fence=5, run_id="other"), 4)


async def test_a_late_attempt_writes_nothing_beside_the_one_that_was_faster(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    assert [2] == await _write(path, replace(call_of(), fence=2), 2)
    assert [2] == await _write(path, replace(call_of(), fence=1), 1)


async def test_one_attempt_may_write_several_times(tmp_path: Path) -> None:
    """A service does, under a name of its own for what is no run of a job."""
    path = tmp_path / "own.db"
    assert [1] == await _write(path, call_of(), 1)
    assert [1, 2] == await _write(path, call_of(), 2)


async def test_what_is_no_run_of_a_job_may_write_under_growing_fences(tmp_path: Path) -> None:
    """A service that counts its sessions is not taken for one that repeats the first."""
    path = tmp_path / "own.db"
    for fence in (1, 2, 3):
        rows = await _write(path, replace(call_of(), fence=fence, repeats=False), fence)
    assert [1, 2, 3] == rows


async def test_rows_with_keys_are_those_of_the_last_attempt(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    for fence in (1, 2):
        rows = await _write(path, replace(call_of(), fence=fence), 1, fence + 1, key=("n",))
    assert [1, 2, 3] == rows


async def test_the_last_runs_are_remembered_and_older_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_own_database, "REMEMBERED", 3)
    path = tmp_path / "own.db"
    for number in range(5):
        await _write(path, replace(call_of(), run_id=f"run-{number}"), number)
    again = [await _write(path, replace(call_of(), run_id=f"run-{number}", fence=2), number + 10) for number in (2, 1)]
    assert [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 11]] == again
    with closing(sqlite3.connect(path)) as connection:
        assert [("run-3",), ("run-4",), ("run-1",)] == connection.execute(
            "SELECT run FROM _mainspring_written ORDER BY number"
        ).fetchall()


async def test_a_file_of_before_remembers_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    await _write(path, run_of(), 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE _mainspring_written")
    await _write(path, run_of(1), 2)
    assert [1, 2] == await _write(path, run_of(1, fence=2, run_id=run_of(1).run_id), 3)
