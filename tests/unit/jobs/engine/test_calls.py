"""The run of a call: its key names it for a time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, running

from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp, JobContext
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


@pytest.mark.parametrize("store", ["memory", "file"])
@pytest.mark.parametrize("key", [5, 1.5, b"x", ["x"], {}, "", "x" * 256, "\ud800"], ids=repr)
async def test_a_key_that_no_store_could_keep_is_refused(tmp_path: Path, store: str, key: Any) -> None:
    """On every store alike, at the call, and without harm to other calls."""
    app = JobApp("test", store="memory" if store == "memory" else tmp_path / "jobs.db", durability="process")

    @app.job("once")
    async def once() -> None: ...

    @app.job("parent")
    async def parent(ctx: JobContext) -> None:
        with pytest.raises(InvalidArgumentError, match=r"^key="):
            await ctx.spawn("once", key=key)

    async with running(app):
        other = asyncio.create_task(app.run_job("once", idempotency_key="x" * 255))
        with pytest.raises(InvalidArgumentError, match=r"^idempotency_key=.*expected a text"):
            await app.run_job("once", idempotency_key=key)
        assert (await other).ok
        assert (await app.run_job("parent")).ok


def test_a_key_lives_for_a_week_by_default_and_a_call_without_one_has_no_expiry() -> None:
    app = JobApp("test")

    @app.job("once")
    async def once() -> None: ...

    assert WEEK == AppSettings().key_lifetime
    assert WEEK * 1_000_000 + 5 == new_call(app.jobs["once"], None, None, key="k", now=5).key_expires_at
    assert new_call(app.jobs["once"], None, None, key=None, now=5).key_expires_at is None
