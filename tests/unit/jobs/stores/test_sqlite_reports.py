"""Logged lines in SQLite: whoever deletes a run's record deletes its lines."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.conformance.jobs.support_stores import claim_one, ending, enqueue, new_run, sqlite_factory


async def test_lines_go_with_their_run(tmp_path: Path) -> None:
    async with sqlite_factory(tmp_path)() as store:
        epoch = await store.open_node("a")
        for log in (b"one", b"two"):
            await enqueue(store, new_run(store))
            await store.finish(ending(await claim_one(store, epoch), log=log))
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection, connection:
        (gone,) = connection.execute("SELECT run_id FROM run_log WHERE log = ?", (b"one",)).fetchone()
        connection.execute("DELETE FROM history WHERE run_id = ?", (gone,))
        assert [(b"two",)] == connection.execute("SELECT log FROM run_log").fetchall()
