"""The history of an app is pruned now and then, and when somebody asks for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.errors import ConfigError
from mainspring.jobs import DataInterval, JobApp, Keep, Retention
from mainspring.jobs.engine import _retention
from mainspring.jobs.engine._settings import OF_SETTINGS
from mainspring.testing import VirtualClock


def make_app(retention: Retention | None = OF_SETTINGS) -> JobApp:
    app = JobApp("kept", store="memory", poll_interval=600, retention=retention)

    @app.job("load", every=600)
    async def load() -> None:
        pass

    return app


START = datetime(2013, 1, 1, tzinfo=UTC)  # of the virtual clock


def write_settings(text: str) -> None:
    Path("mainspring.toml").write_text(text)


async def kept(app: JobApp) -> int:
    return len(await app.runs("load", limit=1000))


@pytest.mark.parametrize("retention", [Retention(), None])
async def test_an_app_keeps_most_runs_or_all(virtual_clock: VirtualClock, retention: Retention | None) -> None:
    app = make_app(retention)
    async with running(app):
        await virtual_clock.advance(5 * 3600 + 300)
        assert 30 == await kept(app)


async def test_an_open_app_prunes_now_and_then(virtual_clock: VirtualClock) -> None:
    app = make_app(Retention(succeeded=Keep(count=5)))
    async with running(app):
        await virtual_clock.advance(5 * 3600 + 300)
        assert 5 <= await kept(app) <= 5 + 7  # what came since the last pass, an hour ago at most
        assert [] == await app.gaps("load")


async def test_the_settings_say_what_stays_and_are_looked_at_again(
    virtual_clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_settings("[retention]\nsucceeded = { age = 7200.0 }\n")
    app = make_app()
    async with running(app):
        assert Keep(age=7200.0) == app.kept().succeeded
        assert Retention().failed == app.kept().failed
        await virtual_clock.advance(5 * 3600 + 300)
        assert 12 <= await kept(app) <= 12 + 7
        write_settings("[retention.succeeded]\ncount = 3\n")
        await virtual_clock.advance(2 * 3600)
        assert 3 <= await kept(app) <= 3 + 7
        write_settings("[retention]\nsucceeded = 'all'\n")
        await virtual_clock.advance(600)
        assert Keep() == app.kept().succeeded
    given = make_app(Retention(succeeded=Keep(count=1)))
    assert Keep(count=1) == given.kept().succeeded, "what the code gives counts more"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("succeeded = { count = -1 }", "at least 0"),
        ("sucseeded = 'all'", "sucseeded"),
        ("failed = 3", "failed"),
        ("failed = { aeg = 3 }", "aeg"),
    ],
)
async def test_settings_of_a_retention_that_cannot_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_settings(f"[retention]\n{text}\n")
    with pytest.raises(ConfigError, match=said):
        await make_app().open()


async def test_pruning_on_request_goes_on_until_nothing_is_left_to_do(
    virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retention, "_BATCH", 2)
    app = make_app()
    async with running(app):
        await virtual_clock.advance(3 * 3600 + 300)
        assert 18 == await kept(app)
        assert 0 == await app.prune()
        assert 7 == await app.prune(Retention(succeeded=Keep(age=6600)))
        assert 10 == await app.prune(Retention(succeeded=Keep(count=0)))
        assert 1 == await kept(app)  # it ended in the last ten minutes


async def test_what_failed_can_be_reprocessed_when_its_records_are_gone(virtual_clock: VirtualClock) -> None:
    app = JobApp("kept", store="memory", poll_interval=600)
    seen: list[datetime] = []

    @app.job("load", every=600)
    async def load(data_interval: DataInterval) -> None:
        seen.append(data_interval.start)
        if data_interval.start == START and len(seen) < 7:
            raise ValueError("no luck")

    async with running(app):
        await virtual_clock.advance(3600 + 300)
        await virtual_clock.advance(600)
        assert START == seen[0]
        gone = Retention(succeeded=Keep(count=0), failed=Keep(count=0))
        assert 6 == await app.prune(gone)
        backfill = await app.backfill("load", START, START + timedelta(hours=1), reprocess="failed")
        assert 1 == (await backfill.wait()).succeeded
        assert START == seen[-1]


async def test_a_run_stays_as_long_as_its_key_and_keeps_no_others(
    virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retention, "_BATCH", 2)
    app = JobApp("kept", store="memory", poll_interval=600, retention=None, key_lifetime=2 * 86_400.0)
    calls: list[int] = []

    @app.job("count")
    async def count() -> int:
        calls.append(1)
        return len(calls)

    async with running(app):
        keyed = [await app.run_job(count, idempotency_key=f"k{number}") for number in range(5)]
        for _ in range(6):
            await app.run_job(count)
        await virtual_clock.advance(86_400)
        assert 4 == await app.prune(Retention(succeeded=Keep(count=2)))
        assert 0 == await app.prune(Retention(succeeded=Keep(count=2)))
        assert keyed[0] == await app.run_job(count, idempotency_key="k0")
        assert 2 == await app.prune(Retention(succeeded=Keep(age=3600.0)))
        await virtual_clock.advance(86_400)
        assert 5 == await app.prune(Retention(succeeded=Keep(age=3600.0)))
        assert 12 == (await app.run_job(count, idempotency_key="k0")).value
