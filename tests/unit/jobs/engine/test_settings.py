"""Settings of an app and of its jobs: variables over mainspring.toml over the declaration; looked at again."""

import asyncio
import math
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.jobs import JobApp, JobContext
from mainspring.jobs.engine._node import Node
from mainspring.jobs.engine._settings import AppSettings, Durable, SettingsSource
from mainspring.jobs.stores import SqliteStore
from mainspring.storage import Durability
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


async def test_what_is_misspelt_is_told_and_what_is_not_ours_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    write(
        "slotz = 4\n[notifier]\nurl = 'x'\n[jobs.laod]\nrows = 2\n[jobs.load]\nrows = 3\n[jobs.quite_another]\nn = 4\n"
    )
    async with running(make_app()[0]):
        said = [one.getMessage() for one in caplog.records if one.name.endswith("_misspelt")]
    assert [
        "the settings name a key 'slotz' that nobody knows; is 'slots' meant?",
        "the settings name a job 'laod' that nobody knows; is 'load' meant?",
    ] == said


async def test_a_job_that_only_another_program_of_the_app_has_is_known(caplog: pytest.LogCaptureFixture) -> None:
    write("store = 'sqlite:///both.db'\n[jobs.loads]\nrows = 2\n")
    other = JobApp("settings")

    @other.job("loads")
    async def loads() -> None: ...

    async with running(other), running(make_app()[0]):
        assert "nobody knows" not in caplog.text


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
    source = SettingsSource(ConfigLoader.from_file("mainspring.toml"), poll_interval=10.0)
    assert AppSettings(poll_interval=10.0) == source.load()
    write("[jobs.a]\nx = 1\n")
    await virtual_clock.advance(9.9)
    assert {} == source.of_job("a")
    await virtual_clock.advance(0.1)
    assert ({"x": 1}, {}) == (source.of_job("a"), source.of_job("b"))


async def test_slots_and_queues_of_an_app_that_is_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    write('slots = 2\nqueues = ["slow", "default"]\n')
    monkeypatch.setenv("MAINSPRING__SLOTS", "1")
    app, given = (
        JobApp("settings", durability="memory"),
        JobApp("settings", durability="memory", slots=7, queues=["own"]),
    )

    @app.job("where", queue="slow")
    async def where(ctx: JobContext) -> str:
        return ctx.job_id

    async with running(app):
        opened = await app.open()
        assert (await app.run_job("where")).ok
        assert 1 == opened.node._slots._most  # what the variable says, over the file
    async with running(given):
        assert 7 == (await given.open()).node._slots._most


async def test_the_settings_may_say_how_often_to_look_and_when(virtual_clock: VirtualClock) -> None:
    write("poll_interval = 5\n")
    source = SettingsSource(ConfigLoader.from_file("mainspring.toml"))
    assert 5.0 == source.load().poll_interval
    write("poll_interval = 1\n")
    await virtual_clock.advance(4.9)
    assert 5.0 == source.now().poll_interval
    await virtual_clock.advance(0.1)
    assert 1.0 == source.now().poll_interval


def reserve(node: Node) -> int:
    return node._slots._most - node._backfill_slots


FULL = """
durability = "memory"
slots = 20
live_reserve = 3
poll_interval = 0.25
drain_timeout = 0
cancel_grace = 1.5
"""


async def test_an_app_is_as_its_settings_say_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    write(FULL)
    monkeypatch.setenv("MAINSPRING__LIVE_RESERVE", "4")
    async with running(JobApp("settings")) as app:
        store = app.store
        assert isinstance(store, SqliteStore)
        assert "memory" == store.owner.durability
        node = (await app.open()).node
        assert (20, 4, 0.25, 1.5) == (node._slots._most, reserve(node), node._poll_interval, node._cancel_grace)
    told = JobApp(
        "settings",
        durability="process",
        slots=2,
        live_reserve=0,
        poll_interval=0.5,
        drain_timeout=1.0,
        cancel_grace=0.5,
    )
    async with running(told) as app:
        store = app.store
        assert isinstance(store, SqliteStore)
        assert "process" == store.owner.durability
        node = (await app.open()).node
        assert (2, 0, 0.5, 0.5) == (node._slots._most, reserve(node), node._poll_interval, node._cancel_grace)


async def test_a_reserve_is_compared_with_the_slots_that_count(folder: Path) -> None:
    write("live_reserve = 12000\n")
    async with running(JobApp("many", slots=50_000, durability="memory")) as app:
        assert 12_000 == reserve((await app.open()).node)


async def test_a_reserve_of_the_settings_leaves_a_slot_to_backfills_of_an_app_with_few(folder: Path) -> None:
    write("live_reserve = 3\n")
    async with running(JobApp("few", slots=2, durability="memory")) as app:
        assert 1 == reserve((await app.open()).node)


async def test_how_long_handlers_are_drained_is_a_setting() -> None:
    write("drain_timeout = 0\n")
    app, begun = JobApp("settings", durability="memory"), asyncio.Event()

    @app.job("long")
    async def long() -> None:
        begun.set()
        await asyncio.Event().wait()

    await app.open()
    await app.run_job("long", wait=False)
    await begun.wait()
    async with asyncio.timeout(5):  # it is handed back at once, and not after the ten seconds of default
        await app.close()
    async with app.reading() as reader:
        (record,) = await reader.runs("long")
    assert ("available", 0) == (record.state, record.attempt)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slots = 0", "slots: expected `int` >= 1"),
        ("queues = []", "queues: expected `array` of length >= 1"),
        ('queues = [""]', "queues: expected `str` of length >= 1"),
        ('queues = "default"', "queues: expected `array`, got `str`"),
        (
            'durability = "often"',
            "durability: invalid enum value 'often', expected one of 'memory', 'process', 'disk'",
        ),
        ("poll_interval = 0", "poll_interval: expected `float` > 0.0"),
        ("poll_interval = nan", "poll_interval: expected `float` > 0.0"),
        ("drain_timeout = -1", "drain_timeout: expected `float` >= 0.0"),
        ("drain_timeout = inf", "drain_timeout: expected `float` <= 31622400.0"),
        ('cancel_grace = "1 s"', "cancel_grace: expected `float`, got `str`"),
        ("key_lifetime = 0", "key_lifetime: expected `float` > 0.0"),
        ("key_lifetime = inf", "key_lifetime: expected `float` <= 3162240000.0"),
        ("live_reserve = -1", "live_reserve: expected `int` >= 0"),
        ("live_reserve = 10000", "live_reserve: expected from 0 to slots - 1, and slots is 10000; got 10000"),
    ],
)
async def test_settings_that_cannot_be_are_refused_with_their_place(text: str, said: str) -> None:
    write(f"# ours\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        await JobApp("settings").open()
    assert f"mainspring.toml:2: {said}" == str(caught.value)


async def test_variables_that_cannot_be_are_refused_by_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, said in (
        ("MAINSPRING__DURABILITY", "often", "expected one of 'memory', 'process', 'disk'"),
        ("MAINSPRING__LIVE_RESERVE", "10000", "expected from 0 to slots - 1"),
    ):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match=f"the environment variable {name}: .*{said}"):
            await JobApp("settings").open()
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"durability": "often"}, "durability='often' .* 'memory', 'process', 'disk'"),
        ({"poll_interval": 0}, "poll_interval=0 .* seconds > 0"),
        ({"poll_interval": math.nan}, "poll_interval=nan .* seconds > 0"),
        ({"drain_timeout": math.inf}, "drain_timeout=inf .* finite seconds >= 0"),
        ({"cancel_grace": -1}, "cancel_grace=-1 .* finite seconds >= 0"),
        ({"key_lifetime": 0}, "key_lifetime=0 .* seconds > 0"),
        ({"key_lifetime": True}, "key_lifetime=True .* seconds > 0"),
        ({"key_lifetime": 1e300}, "key_lifetime=1e.300 .* 100 years at most"),
        ({"key_lifetime": "7d"}, r"(?s)key_lifetime='7d' .*write 604800, a number of seconds"),
        ({"live_reserve": -1}, "live_reserve=-1 .* from 0 to slots - 1"),
        ({"live_reserve": 2, "slots": 2}, "live_reserve=2 .* from 0 to slots - 1"),
        ({"live_reserve": 0.5}, "live_reserve=0.5 .* from 0 to slots - 1"),
        ({"slots": 2.5}, "slots=2.5 .* an int >= 1"),
        ({"slots": True}, "slots=True .* an int >= 1"),
        ({"queues": "default"}, "queues='default' .* names of queues"),
        ({"queues": [1, 2]}, "queues=.* names of queues"),
    ],
)
def test_options_that_cannot_be_are_refused_by_the_constructor(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        JobApp("settings", **options)


def test_the_settings_know_the_levels_of_durability() -> None:
    assert get_args(Durability) == get_args(Durable)
