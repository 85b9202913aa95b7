"""Ends of plain calls are told from the claim; whatever else happened to a run sends its end the general way."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from msgspec import structs
from tests.conformance.jobs.support_stores import claim, ending, enqueue, new_run, registration, sqlite_factory

from mainspring.errors import StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Finish, JobStore, RunRecord
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.sinks import SinkRun

COUNT = 8  # runs that are claimed together


@asynccontextmanager
async def claimed(folder: Path) -> AsyncGenerator[tuple[JobStore, Sequence[RunRecord]]]:
    async with sqlite_factory(folder, inline=True)() as store:
        await store.register([registration()])
        epoch = await store.open_node("a")
        for _ in range(COUNT):
            await enqueue(store, new_run(store))
        yield store, (await claim(store, epoch)).runs


async def end(store: JobStore, commands: Sequence[Finish]) -> list[RunRecord | BaseException]:
    """Send them in one group."""
    return await asyncio.gather(*(store.finish(one) for one in commands), return_exceptions=True)


async def test_the_answer_is_what_the_history_has(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        for answer, record in zip(await end(store, [ending(one) for one in runs]), runs, strict=True):
            assert await store.run(record.run_id) == answer
            assert structs.replace(record, state=RunState.SUCCEEDED, finished_at=(record.started_at or 0) + 1) == answer
        assert [("job", "succeeded", COUNT)] == [one for one in await store.job_counts() if one[2]]


async def test_a_run_that_somebody_touched_is_read_again(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        await store.cancel(runs[3].run_id)
        answers = await end(store, [ending(one) for one in runs])
        told = [isinstance(one, RunRecord) and one.cancel_requested for one in answers]
        assert [place == 3 for place in range(COUNT)] == told
        assert [await store.run(one.run_id) for one in runs] == answers


async def test_runs_of_many_jobs_and_ends_that_say_something_are_ended_as_well(tmp_path: Path) -> None:
    async with sqlite_factory(tmp_path, inline=True)() as store:
        epoch = await store.open_node("a")
        jobs = [f"job-{number}" for number in range(COUNT)]
        for job in jobs:
            await enqueue(store, new_run(store, job))
        runs = (await claim(store, epoch, *jobs)).runs
        answers = await end(store, [ending(runs[0], value=b"1"), *(ending(one) for one in runs[1:])])
        assert [await store.run(one.run_id) for one in runs] == answers
        ended = [job_id for job_id, state, count in await store.job_counts() if (state, count) == ("succeeded", 1)]
        assert jobs == sorted(ended)


async def test_a_run_of_a_renamed_job_is_counted_under_its_new_name(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        await store.register([registration("new", was=("job",))])
        answers = await end(store, [ending(one) for one in runs])
        assert ["new"] * COUNT == [one.job_id for one in answers if isinstance(one, RunRecord)]
        assert [("new", "succeeded", COUNT)] == [one for one in await store.job_counts() if one[2]]


async def test_only_the_one_with_another_fence_is_refused(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        late = structs.replace(ending(runs[0]), fence=runs[0].fence + 1)
        answers = await end(store, [late, *(ending(one) for one in runs[1:])])
        assert isinstance(answers[0], StaleFenceError)
        assert all(isinstance(one, RunRecord) for one in answers[1:])
        found = await store.run(runs[0].run_id)
        assert found is not None
        assert found.state is RunState.RUNNING


async def test_nothing_ends_for_a_dead_epoch(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        await store.close_node(runs[0].epoch or 0)
        answers = await end(store, [ending(one) for one in runs])
        assert all(isinstance(one, StaleFenceError) for one in answers)
        assert RunState.AVAILABLE is getattr(await store.run(runs[0].run_id), "state", None)


async def test_an_end_that_came_twice_in_a_group_is_answered_twice(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        commands = [ending(one) for one in runs]
        first, *others = await end(store, [*commands, commands[0]])
        assert first == others[-1]
        again = await end(store, commands)
        assert [first, *others[:-1]] == again


async def test_staged_rows_go_with_their_run(tmp_path: Path) -> None:
    async with claimed(tmp_path) as (store, runs):
        one = runs[0]
        run = SinkRun(
            run_id=one.run_id,
            job_id="job",
            fence=one.fence,
            attempt=1,
            scheduled_at=None,
            interval_start=None,
            interval_end=None,
        )
        await store.stage(run, "sink", 1, b"rows")
        await end(store, [ending(record) for record in runs])
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
            assert (0,) == connection.execute("SELECT count(*) FROM stage").fetchone()


@pytest.mark.parametrize(("name", "parameters"), [("count_unchanged", 5), ("delete_ended", 1)])
async def test_ends_look_at_their_own_runs_only(name: str, parameters: int, tmp_path: Path) -> None:
    async with sqlite_factory(tmp_path)():
        pass
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        explained = f"EXPLAIN QUERY PLAN {statements('runs')[name]}"
        plan = [str(row[3]) for row in connection.execute(explained, [None] * parameters)]
    assert any("SEARCH run USING PRIMARY KEY (run_id=?)" in step for step in plan), plan
