"""A new job whose instant has passed never fires, and is named once."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, running

from mainspring.jobs import JobApp, RunState
from mainspring.jobs.stores import MemoryData, MemoryStore
from mainspring.testing import VirtualClock

PAST = START - timedelta(hours=1)
SAID = "the new job 'late' never fires: its at=2012-12-31T23:00:00Z lies before its beginning"


async def handler() -> None: ...


def app_with(data: MemoryData | None = None, **jobs: dict[str, Any]) -> JobApp:
    app = JobApp("test", store=MemoryStore(data or MemoryData()))
    for job_id, options in jobs.items():
        app.job(job_id, **options)(handler)
    return app


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name.endswith("_bygone")]


def test_a_new_job_whose_instant_has_passed_is_named_when_it_is_first_registered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = app_with(
        late={"at": PAST},
        later={"at": START + timedelta(hours=1)},
        delayed={"at": PAST, "delay": 7200.0},
        asked={"at": PAST, "start_at": PAST},
        hourly={"cron": "0 * * * *"},
        plain={},
    )

    async def main() -> None:
        for _ in range(2):  # the second time it is known
            async with running(app):
                pass

    with VirtualClock(START) as clock:
        clock.run(main())
    (only,) = said(caplog)
    assert only.startswith(SAID)


@pytest.mark.parametrize("start_at", [None, PAST + timedelta(microseconds=1)])
def test_a_command_that_registers_it_first_says_so_too(
    caplog: pytest.LogCaptureFixture, start_at: datetime | None
) -> None:
    app = app_with(late={"at": PAST, "start_at": start_at})

    async def main() -> None:
        await app.open(guest=True)
        await app.close()

    with VirtualClock(START) as clock:
        clock.run(main())
    (only,) = said(caplog)
    assert only.startswith(SAID)


def test_a_job_that_has_fired_is_not_named_by_a_later_start_nor_by_another_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, when = MemoryData(), START + timedelta(seconds=1)

    async def main() -> None:
        async with running(app_with(data, soon={"at": when})) as app:
            await asyncio.sleep(5)
            assert [RunState.SUCCEEDED] == [record.state for record in await app.runs("soon")]
        async with running(app_with(data, soon={"at": when})):
            pass
        async with running(app_with(data, renamed={"at": when, "was": ["soon"]})):
            pass

    with VirtualClock(START) as clock:
        clock.run(main())
    assert [] == said(caplog)
