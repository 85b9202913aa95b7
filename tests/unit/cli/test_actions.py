"""What a command does with an app, where the whole command would take a process of its own."""

import asyncio
from datetime import date

import pytest

pytest.importorskip("typer")

from mainspring.cli._actions import _watch, wait_for_end
from mainspring.jobs import JobApp

pytestmark = pytest.mark.extras


async def test_whoever_interrupts_a_backfill_is_told_that_it_stays(capsys: pytest.CaptureFixture[str]) -> None:
    app = JobApp("shop", store="memory")
    may_end = asyncio.Event()

    @app.job("days", cron="0 0 * * *")
    async def days() -> None:
        await may_end.wait()

    await app.open(guest=True)
    try:
        backfill = await app.backfill(days, date(2013, 1, 1), date(2013, 1, 2))
        watching = asyncio.create_task(_watch(backfill, app))
        await asyncio.sleep(0)  # its first step, to where it waits
        watching.cancel()  # as Ctrl-C does
        with pytest.raises(asyncio.CancelledError):
            await watching
        may_end.set()
    finally:
        await app.close()
    said = f"note: backfill {backfill.backfill_id} stays in the store; a running app goes on with it\n"
    assert said == capsys.readouterr().err


async def test_whoever_interrupts_a_run_is_told_how_to_find_it(capsys: pytest.CaptureFixture[str]) -> None:
    app = JobApp("shop", store="memory")
    may_end = asyncio.Event()

    @app.job("hold")
    async def hold() -> None:
        await may_end.wait()

    await app.open(guest=True)
    try:
        run_id = (await app.run_job(hold, wait=False)).run_id
        waiting = asyncio.create_task(wait_for_end(app, run_id))
        await asyncio.sleep(0)  # its first step, to where it waits
        waiting.cancel()  # as Ctrl-C does
        with pytest.raises(asyncio.CancelledError):
            await waiting
        may_end.set()
    finally:
        await app.close()
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"stopping: run {run_id} may end, else a running app goes on with it; Ctrl-C again ends at once"
    assert second == f"hint: `mainspring show APP {run_id}` tells how it is"
