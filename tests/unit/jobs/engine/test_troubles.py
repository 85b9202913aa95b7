"""What fails is told in the log: an information about an attempt that is tried again, an error for the last one."""

import logging
from datetime import UTC, datetime

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.base import Backoff
from mainspring.jobs import DataInterval, JobApp
from mainspring.testing import VirtualClock

_LOGGER = "mainspring.jobs.engine._troubles"


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(one.levelno, one.getMessage()) for one in caplog.records if one.name == _LOGGER]


async def test_each_attempt_that_fails_is_told_once_and_without_secrets(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = JobApp("shop", store="memory")

    @app.job("load", retry=Backoff.constant(1.0, max_tries=2), config={"password": "tiger-and-lion"})
    async def load(config: dict[str, str]) -> None:
        raise OSError(f"refused {config['password']}")

    async with running(app):
        run = (await app.run_job("load")).run_id
    (first, said), last = told(caplog)
    assert logging.INFO == first
    assert said.startswith(f"run {run} of load failed in attempt 1, the next is due at ")
    assert said.endswith(": OSError: refused ***")
    assert (logging.ERROR, f"run {run} of load failed after 2 attempts: OSError: refused ***") == last


async def test_an_interval_is_named_and_success_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    app = JobApp("shop", store="memory")

    @app.job("load", cron="0 * * * *")
    async def load(data_interval: DataInterval) -> None:
        if data_interval.start.hour == 1:
            raise ValueError("the file is empty")

    start = datetime(2013, 1, 1, tzinfo=UTC)
    progress = await (await app.backfill(load, start, start.replace(hour=3))).wait()
    await app.close()
    assert (2, 1) == (progress.succeeded, progress.failed)
    ((level, said),) = told(caplog)
    assert logging.ERROR == level
    assert said.endswith(
        "load 2013-01-01T01:00:00Z/2013-01-01T02:00:00Z failed after 1 attempt: ValueError: the file is empty"
    )
