"""The run of a call: its key names it for a time."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import START, running

from mainspring.jobs import JobApp
from mainspring.jobs.engine._calls import new_call
from mainspring.jobs.engine._settings import AppSettings
from mainspring.testing import VirtualClock

WEEK = 7 * 86_400


@pytest.mark.parametrize(("given", "text"), [(60.0, ""), (None, "key_lifetime = 60"), (60.0, "key_lifetime = 5")])
def test_a_key_names_its_run_for_as_long_as_the_app_or_its_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float | None, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mainspring.toml").write_text(text)
    app = JobApp("test", store="memory", key_lifetime=given)

    @app.job("once")
    async def once() -> None: ...

    async def main() -> list[str]:
        ids: list[str] = []
        async with running(app):
            for pause in (0.0, 59.0, 2.0):
                await asyncio.sleep(pause)
                ids.append((await app.run_job("once", idempotency_key="k")).run_id)
        return ids

    with VirtualClock(START) as clock:
        first, again, later = clock.run(main())
    assert first == again
    assert first != later


def test_a_key_lives_for_a_week_by_default_and_a_call_without_one_has_no_expiry() -> None:
    app = JobApp("test")

    @app.job("once")
    async def once() -> None: ...

    assert WEEK == AppSettings().key_lifetime
    assert WEEK * 1_000_000 + 5 == new_call(app.jobs["once"], None, None, key="k", now=5).key_expires_at
    assert new_call(app.jobs["once"], None, None, key=None, now=5).key_expires_at is None
