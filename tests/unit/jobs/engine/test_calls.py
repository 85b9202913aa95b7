"""The run of a call: its key names it for a time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, eventually, make_app, ran_by, running

from mainspring.errors import IdempotencyError, InvalidArgumentError
from mainspring.jobs import JobApp, JobContext, RunState
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
@pytest.mark.parametrize("key", [5, 1.5, b"x", ["x"], {}, "", "x" * 1025, "\ud800"], ids=lambda key: repr(key)[:9])
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
        other = asyncio.create_task(app.run_job("once", idempotency_key="x" * 1024))
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


async def test_a_key_outlasts_a_rename_of_its_job(tmp_path: Path) -> None:
    """That of a call, and that of a child whose parent goes on with the new code."""
    children: list[str] = []

    def program(name: str, *was: str) -> JobApp:
        app = make_app(tmp_path, drain_timeout=0.0)

        @app.job(name, was=was)
        async def pay() -> None: ...

        @app.job("parent")
        async def parent(ctx: JobContext) -> None:
            children.append((await ctx.spawn(name, key="k")).run_id)
            if name == "old":
                await asyncio.Event().wait()

        return app

    async with running(program("old")) as app:
        first = await app.run_job("old", {"a": 1}, idempotency_key="k")
        family = await app.run_job("parent", wait=False)
        await eventually(lambda: _true(children))
    for name, was in (("new", ("old",)), ("newer", ("old", "new"))):
        async with running(program(name, *was)) as app:
            assert first.run_id == (await app.run_job(name, {"a": 1}, idempotency_key="k")).run_id
            with pytest.raises(IdempotencyError):
                await app.run_job(name, {"a": 2}, idempotency_key="k")
            assert RunState.SUCCEEDED is (await app.wait_for_run(family.run_id)).state
    assert 2 == len(children)
    assert 1 == len(set(children))


async def _true(found: list[str]) -> bool:
    return bool(found)


async def test_a_key_of_a_job_is_not_that_of_one_that_has_its_old_name() -> None:
    app = JobApp("test", store="memory")
    app.job("old")(ran_by("old"))
    app.job("new", was=["old"])(ran_by("new"))
    async with running(app):
        assert "old" == (await app.run_job("old", idempotency_key="k")).value
        with pytest.raises(IdempotencyError):
            await app.run_job("new", idempotency_key="k")
