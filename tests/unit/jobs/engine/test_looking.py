"""Who looks at a store sees what is there, and takes no part."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import START, at, make_app, running

from mainspring.errors import InvalidArgumentError, StoreMissingError, UnknownJobError
from mainspring.jobs import JobApp, RunState


def app_on(path: Path) -> JobApp:
    app = make_app(path)

    @app.job("hourly", cron="0 * * * *")
    async def hourly() -> None: ...

    return app


async def test_a_reader_beside_a_running_app_sees_what_that_does(tmp_path: Path) -> None:
    looking = app_on(tmp_path)
    async with running(app_on(tmp_path)) as app:
        await (await app.backfill("hourly", START, at(3))).wait()
        result = await app.run_job("hourly")
        epochs = (await app.open()).node.epoch
        async with looking.reading() as reader:
            assert {"hourly": {"succeeded": 4}} == await reader.counts()
            assert at(3) == await reader.watermark("hourly")
            assert [] == await reader.gaps("hourly")
            record = await reader.run(result.run_id)
            assert record is not None
            assert 4 == len(await reader.runs("hourly", states=[RunState.SUCCEEDED]))
            with pytest.raises(UnknownJobError):
                await reader.runs("other")
        async with app.reading() as reader:  # an open app reads through its own store
            assert record == await reader.run(result.run_id)
        assert "closed" in repr(looking)
    async with running(app_on(tmp_path)) as app:
        assert (await app.open()).node.epoch == epochs + 1  # nobody else was a node


def test_a_store_that_is_not_there_is_said_and_not_created(tmp_path: Path) -> None:
    async def look() -> None:
        async with app_on(tmp_path).reading():
            pass

    with pytest.raises(StoreMissingError, match="there is no store at"):
        asyncio.run(look())
    assert [] == list(tmp_path.iterdir())


async def test_an_app_without_runner_creates_runs_for_others(tmp_path: Path) -> None:
    client = app_on(tmp_path)
    await client.open(runner=False)
    left = await client.run_job("hourly", wait=False)
    backfill = await client.backfill("hourly", START, at(2))
    async with running(app_on(tmp_path)) as app:
        waited_for = await client.run_job("hourly")
        assert waited_for.ok
        assert (await (await app.backfill_by_id(backfill.backfill_id)).wait()).succeeded == 2
        record = await client.run(left.run_id)
    assert record is not None
    assert record.state is RunState.SUCCEEDED
    assert record.epoch == 1  # the other app was the first node
    await client.close()


async def test_a_store_in_memory_cannot_be_read_from_outside() -> None:
    with pytest.raises(InvalidArgumentError, match="to be read from outside"):
        async with JobApp("memory", store=Path(":memory:")).reading():
            pass


def test_an_app_may_be_opened_by_many_at_once_on_one_loop_after_another(tmp_path: Path) -> None:
    app = app_on(tmp_path)

    async def main() -> None:
        results = await asyncio.gather(*(app.run_job("hourly") for _ in range(5)))
        assert all(result.ok for result in results)

    for _ in range(3):
        asyncio.run(main())
