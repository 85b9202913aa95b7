"""Code of before a rename that runs again: the renamed job goes on where it stands, or says what it repeats."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, running

from mainspring.jobs import JobApp
from mainspring.jobs.stores import MemoryData, MemoryStore
from mainspring.testing import VirtualClock

HOUR = timedelta(hours=1)


class Deploys:
    """Programs on one store, one after the other, each for two hours."""

    def __init__(self) -> None:
        self.data = MemoryData()
        self.ran: list[tuple[str, datetime]] = []

    async def deploy(self, name: str, *was: str, others: tuple[str, ...] = ()) -> None:
        app = JobApp("test", store=MemoryStore(self.data), poll_interval=600.0)

        async def handle(ctx: Any) -> None:
            self.ran.append((ctx.job_id, ctx.scheduled_at))

        app.job(name, cron="0 * * * *", missed="all", was=was)(handle)
        for other in others:
            app.job(other, cron="0 * * * *")(handle)
        async with running(app):
            await asyncio.sleep(2 * HOUR.total_seconds())

    def hours(self) -> list[int]:
        return [(at - START) // HOUR for _, at in self.ran]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name.endswith("_returned")]


def test_hours_that_run_again_after_a_roll_back_are_named_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    deploys = Deploys()

    async def main() -> None:
        await deploys.deploy("old")
        await deploys.deploy("new", "old")
        await deploys.deploy("old")
        assert [] == said(caplog)
        for _ in range(2):  # the second time it is past them
            await deploys.deploy("new", "older", "old")

    with VirtualClock(START + timedelta(minutes=30)) as clock:
        clock.run(main())
    assert [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10] == deploys.hours()
    (one,) = said(caplog)
    assert "the job 'new' was scheduled under its earlier id 'old' until 2013-01-01T06:00:00Z" in one
    assert "goes on from 2013-01-01T04:00:00Z itself" in one
    assert "let its 'old' say was=('new',)" in one


def test_code_that_says_the_later_id_goes_on_where_the_renamed_job_stands(caplog: pytest.LogCaptureFixture) -> None:
    deploys = Deploys()

    async def main() -> None:
        await deploys.deploy("old")
        await deploys.deploy("new", "old")
        await deploys.deploy("old", "new")
        await deploys.deploy("new", "old")

    with VirtualClock(START + timedelta(minutes=30)) as clock:
        clock.run(main())
    assert list(range(1, 9)) == deploys.hours()
    assert [] == said(caplog)


def test_a_job_that_has_the_old_id_today_is_no_return(caplog: pytest.LogCaptureFixture) -> None:
    deploys = Deploys()

    async def main() -> None:
        await deploys.deploy("new")
        await deploys.deploy("old")
        await deploys.deploy("new", "old", others=("old",))

    with VirtualClock(START + timedelta(minutes=30)) as clock:
        clock.run(main())
    assert [] == said(caplog)
