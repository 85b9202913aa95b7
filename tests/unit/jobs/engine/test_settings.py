"""Settings of an app and of its jobs: variables over mainspring.toml over the declaration; looked at again."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.errors import ConfigError
from mainspring.jobs import JobApp, JobContext
from mainspring.jobs.engine._settings import AppSettings, SettingsSource
from mainspring.testing import VirtualClock
from mainspring.tools import ConfigLoader

FILE = """
[jobs.load]
rows = 2
mode = "file"
table = { b = 2 }
[jobs.other]
rows = 9
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without settings, and no variables of ours."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MAINSPRING_")]:
        monkeypatch.delenv(name)
    return tmp_path


def write(text: str) -> None:
    Path("mainspring.toml").write_text(text)


def make_app(**options: float) -> tuple[JobApp, list[dict[str, object]]]:
    app = JobApp("settings", durability="memory", poll_interval=options.get("poll_interval", 0.05))
    seen: list[dict[str, object]] = []

    @app.job("load", config={"rows": 1, "mode": "declared", "table": {"a": 1}})
    async def load(ctx: JobContext) -> None:
        seen.append(dict(ctx.config))

    return app, seen


async def test_layers_of_a_jobs_config(monkeypatch: pytest.MonkeyPatch) -> None:
    write(FILE)
    monkeypatch.setenv("MAINSPRING__JOBS__LOAD__MODE", "variable")
    app, seen = make_app()
    async with running(app):
        await app.run_job("load")
        await app.run_job("load", {"rows": 3})
    assert [
        {"rows": 2, "mode": "variable", "table": {"b": 2}},
        {"rows": 3, "mode": "variable", "table": {"b": 2}},
    ] == seen


async def test_the_store_of_the_settings_is_used_unless_a_variable_or_the_caller_says_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def location(app: JobApp) -> str:
        async with running(app):
            return app.store.location

    assert str(Path(".mainspring/mainspring.db")) == await location(JobApp("a"))
    write('state_dir = "state"\n')
    assert str(Path("state/mainspring.db")) == await location(JobApp("a"))
    write('store = "sqlite:///file.db"\n')
    assert "file.db" == await location(JobApp("a"))
    monkeypatch.setenv("MAINSPRING__STORE", "sqlite:///layered.db")
    assert "layered.db" == await location(JobApp("a"))
    monkeypatch.setenv("MAINSPRING_STORE", "sqlite:///variable.db")
    assert "variable.db" == await location(JobApp("a"))
    assert "given.db" == await location(JobApp("a", store="sqlite:///given.db"))


async def test_settings_that_cannot_be_read_stop_the_start() -> None:
    write("\n[jobs]\nload = 5\n")
    app, _ = make_app()
    with pytest.raises(ConfigError, match=r"mainspring\.toml:3: jobs"):
        await app.open()


async def test_a_change_counts_for_the_next_run_and_a_bad_one_for_none(caplog: pytest.LogCaptureFixture) -> None:
    app, seen = make_app(poll_interval=0.01)
    async with running(app):
        for text in ("[jobs.load]\nrows = 5\n", "[jobs.load]\nrows = \n", "[jobs.load]\nrows = 7\n"):
            write(text)
            await asyncio.sleep(0.02)
            await app.run_job("load")
    assert [5, 5, 7] == [config["rows"] for config in seen]
    assert 1 == sum("the last good ones stay" in record.message for record in caplog.records)


async def test_settings_are_looked_at_once_in_an_interval(virtual_clock: VirtualClock) -> None:
    source = SettingsSource(ConfigLoader.from_file("mainspring.toml"), interval=10.0)
    assert AppSettings() == source.load()
    write("[jobs.a]\nx = 1\n")
    await virtual_clock.advance(9.9)
    assert {} == source.of_job("a")
    await virtual_clock.advance(0.1)
    assert ({"x": 1}, {}) == (source.of_job("a"), source.of_job("b"))


async def test_slots_and_queues_of_an_app_that_is_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    write('slots = 2\nqueues = ["slow", "default"]\n')
    monkeypatch.setenv("MAINSPRING__SLOTS", "1")
    app, given = JobApp("settings", durability="memory"), JobApp("given", durability="memory", slots=7, queues=["own"])

    @app.job("where", queue="slow")
    async def where(ctx: JobContext) -> str:
        return ctx.job_id

    async with running(app):
        opened = await app.open()
        assert (await app.run_job("where")).ok
        assert 1 == opened.node._slots._most  # what the variable says, over the file
    async with running(given):
        assert 7 == (await given.open()).node._slots._most


@pytest.mark.parametrize("text", ["slots = 0", "queues = []", 'queues = [""]', 'queues = "default"'])
async def test_slots_and_queues_that_cannot_be_are_refused(text: str) -> None:
    write(text)
    with pytest.raises(ConfigError, match=r"slots|queues"):
        await JobApp("settings", durability="memory").open()
