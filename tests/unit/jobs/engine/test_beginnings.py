"""A new job that needs others begins where those have what it needs, or is refused."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, at, running

from mainspring.base import from_us
from mainspring.errors import NeedsError
from mainspring.jobs import JobApp, Need, RunState
from mainspring.testing import VirtualClock

NOON = at(12)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    return "memory" if request.param == "memory" else tmp_path / "state.db"


def app_with(store: str | Path, jobs: Mapping[str, Mapping[str, Any]], *, before: JobApp | None = None) -> JobApp:
    """Return an app with such jobs, in memory on the store of the one before."""
    app = JobApp("test", store=store, poll_interval=60.0)
    if before is not None:
        app._memory = before._memory
    for job_id, options in jobs.items():

        @app.job(job_id, **options)
        async def handler() -> None: ...

    return app


async def starts(app: JobApp, job_id: str, *states: RunState) -> list[datetime]:
    """Return where the intervals of a job's runs begin, oldest first."""
    runs = await app.runs(job_id, states=states, limit=100)
    return sorted(from_us(run.interval_start) for run in runs if run.interval_start is not None)


async def cursors(app: JobApp) -> dict[str, datetime]:
    return {row.job_id: from_us(row.cursor) for row in await app.store.jobs() if row.cursor is not None}


def simulate(begin: datetime, main: Coroutine[Any, Any, None]) -> None:
    with VirtualClock(begin) as clock:
        clock.run(main)


HOURLY: dict[str, Any] = {"cron": "0 * * * *"}
DAILY: dict[str, Any] = {"cron": "0 0 * * *", "needs": ("hourly",)}


def test_a_new_day_begins_with_the_first_one_whose_hours_will_all_be_there(caplog: pytest.LogCaptureFixture) -> None:
    app = app_with("memory", {"daily": DAILY, "chain": {**DAILY, "depends_on_past": True}, "hourly": HOURLY})

    async def main() -> None:
        async with running(app):
            await asyncio.sleep(49 * 3600)
            for job_id in ("daily", "chain"):
                assert [at(24), at(48)] == await starts(app, job_id, RunState.SUCCEEDED)
                assert [at(24), at(48)] == await starts(app, job_id)

    caplog.set_level(logging.INFO, "mainspring.jobs")
    simulate(at(23.5), main())
    said = [one.getMessage() for one in caplog.records if "begins with its interval" in one.getMessage()]
    assert [
        f"the new job {job_id!r} begins with its interval from 2013-01-02T00:00:00Z on: "
        "before that 'hourly' has not what it needs"
        for job_id in ("daily", "chain")
    ] == said


def test_what_needs_a_job_that_was_moved_begins_behind_it(store: str | Path) -> None:
    weeks = {"cron": "0 0 * * MON", "needs": (Need("daily", offset=-86_400),)}
    app = app_with(store, {"weekly": weeks, "daily": DAILY, "hourly": HOURLY})

    async def main() -> None:
        async with running(app):
            assert {"hourly": at(11), "daily": at(24), "weekly": at(6 * 24)} == await cursors(app)

    simulate(at(11.5), main())


def test_a_new_job_that_says_its_start_is_refused_if_what_it_needs_starts_later(store: str | Path) -> None:
    app = app_with(store, {"x": {**HOURLY, "start_at": at(-24), "missed": "all", "needs": ("u",)}, "u": HOURLY})

    async def main() -> None:
        for _ in range(2):  # nothing of it was registered
            said = r"'x' needs 'u' from 2012-12-31T00:00:00\+00:00 on, but that starts at 2013-01-01T12:00:00\+00:00"
            with pytest.raises(NeedsError, match=said) as caught:
                await app.start()
            assert "give 'u' a start_at= as early as that, or backfill it before 'x' is added" == caught.value.hint
            await app.stop()

    simulate(NOON, main())


def test_hours_that_were_backfilled_are_there_for_new_jobs(store: str | Path) -> None:
    before = app_with(store, {"hourly": HOURLY})
    since = {**HOURLY, "start_at": START, "missed": "all", "needs": ("hourly",)}

    async def main() -> None:
        async with running(before):
            await (await before.backfill("hourly", START, NOON)).wait()
        app = app_with(store, {"hourly": HOURLY, "daily": DAILY, "since": since}, before=before)
        async with running(app):
            assert {"hourly": NOON, "daily": START, "since": START} == await cursors(app)

    simulate(NOON, main())


def test_a_job_that_gets_a_new_need_is_said_to_wait(store: str | Path, caplog: pytest.LogCaptureFixture) -> None:
    before = app_with(store, {"daily": {"cron": "0 0 * * *"}})
    new = {"daily": DAILY, "hourly": HOURLY}

    async def main() -> None:
        async with running(before):
            pass
        app = app_with(store, new, before=before)
        for _ in range(2):
            async with running(app):
                pass

    simulate(NOON, main())
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [
        "job 'daily' needs 'hourly' from 2013-01-01T00:00:00+00:00 on, but that starts at 2013-01-01T12:00:00+00:00; "
        "its runs before that wait until that is backfilled"
    ] == warnings


async def test_a_guest_lets_new_jobs_begin_as_an_app_does(store: str | Path) -> None:
    app = app_with(store, {"hourly": HOURLY, "daily": DAILY})
    await app.open(guest=True)
    begun = await cursors(app)
    await app.close()
    assert begun["daily"] >= begun["hourly"]
