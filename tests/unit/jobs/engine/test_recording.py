"""However the way of an end into the store goes, its run gives back its slot and is told of."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running
from tests.unit.jobs.engine.support_trouble import troubled

from mainspring.errors import StoreBusyError
from mainspring.jobs import RunState
from mainspring.jobs.engine._execution import Execution
from mainspring.jobs.stores import Finish, RunRecord, SqliteStore


async def quick() -> None:
    pass


async def test_an_end_that_is_refused_at_once_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        finish, refusals = SqliteStore.finish, [1, 2]

        def refuse(self: SqliteStore, command: Finish) -> object:
            if refusals and refusals.pop():
                raise StoreBusyError(store="state.db", reason="too many writes wait already")
            return finish(self, command)

        monkeypatch.setattr(SqliteStore, "finish", refuse)
        assert (await app.run_job("quick")).ok
        assert [] == refusals


async def test_an_end_that_cannot_be_made_gives_back_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)

    def broken(self: Execution, error: BaseException) -> Finish:
        raise RuntimeError("nothing can be said") from error

    async with running(app):
        monkeypatch.setattr(Execution, "failed", broken)
        store.failures = {"finish": [ValueError("a sink's write")]}
        await app.run_job("quick", wait=False)
        node = (await app.open()).node

        async def given_up() -> bool:
            return "ended without a record" in caplog.text and node.running_count == 0

        await eventually(given_up)


async def test_an_end_that_cannot_be_made_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, store = troubled(tmp_path)
    app.job("quick")(quick)

    def broken(self: Execution, error: BaseException) -> Finish:
        raise RuntimeError("nothing can be said") from error

    async with running(app):
        monkeypatch.setattr(Execution, "_failed", broken)
        store.failures = {"finish": [ValueError("a sink's write")]}
        result = await app.run_job("quick")
    assert (RunState.FAILED, "RuntimeError: nothing can be said") == (result.state, result.error)


async def test_a_run_that_is_stopped_before_it_begins_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(tmp_path)
    app.job("quick")(quick)

    def broken(self: Execution) -> bytes:
        raise RuntimeError("no lines")

    monkeypatch.setattr(Execution, "lines", broken)
    async with running(app):
        node = (await app.open()).node
        begin = node.begin

        def begin_and_stop(record: RunRecord) -> None:
            begin(record)
            node.stop_run(record.run_id)  # in the same turn

        node.begin = begin_and_stop  # type: ignore[method-assign]  # as below
        result = await app.run_job("quick")
    assert (RunState.FAILED, "RuntimeError: no lines") == (result.state, result.error)


def test_a_run_that_cannot_be_handed_back_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: SqliteStore, command: Finish) -> object:
        raise StoreBusyError(store="state.db", reason="too many writes wait already")

    async def program() -> None:
        app, started = make_app(tmp_path), asyncio.Event()

        @app.job("slow")
        async def slow() -> None:
            started.set()
            await asyncio.Event().wait()

        await app.run_job("slow", wait=False)
        await started.wait()
        monkeypatch.setattr(SqliteStore, "finish", refuse)

    asyncio.run(program())  # which cuts the handler off
    assert "of slow is left to another claim" in caplog.text
    assert "ended without a record" not in caplog.text


@pytest.mark.parametrize("how", ["cancelled", "broken"])
async def test_a_task_that_ends_without_an_end_gives_back_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    app = make_app(tmp_path)
    app.job("quick")(quick)
    async with running(app):
        node = (await app.open()).node
        begin, tasks = node.begin, set[asyncio.Task[object]]()

        async def broken(self: Execution) -> Finish | None:
            raise RuntimeError("a bug")

        def begin_badly(record: RunRecord) -> None:
            before = asyncio.all_tasks()
            begin(record)
            tasks.update(asyncio.all_tasks() - before)
            if how == "cancelled":
                for task in tasks:
                    task.cancel()  # as a loop that is shut down does, before the first step

        node.begin = begin_badly  # type: ignore[method-assign]  # the request comes in the same turn
        if how == "broken":
            monkeypatch.setattr(Execution, "run", broken)
        result = await app.run_job("quick", wait=False)

        async def over() -> bool:
            return bool(tasks) and node.running_count == 0

        await eventually(over)
        record = await app.run(result.run_id)
        assert record is not None
        assert record.state is RunState.FAILED
