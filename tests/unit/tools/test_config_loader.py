"""ConfigLoader: four layers, read when asked, merged in their order, explained and watched."""

import asyncio
import json
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.testing import VirtualClock, eventually
from mainspring.tools import Config, ConfigLoader
from mainspring.tools._values import is_table

HOME = '[clickhouse]\nuser = "demo_user"\npassword = "123456789"\n'
CWD = '[clickhouse]\npassword = "abcdefg"\nhost = "xxx"\n'


class Place:
    """A home and a working directory of their own, and variables."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home" / ".p" / "config.toml"
        self.cwd = folder / "cwd" / ".p" / "config.toml"
        for path in (self.home, self.cwd):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.loader = ConfigLoader(".p", "config.toml", "P")

    @contextmanager
    def entered(self, **variables: str) -> Generator["Place"]:
        before, environment = Path.cwd(), dict(os.environ)
        os.chdir(self.cwd.parent.parent)
        os.environ.update(HOME=str(self.home.parent.parent), **variables)
        try:
            yield self
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(environment)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path).entered() as here:
        yield here


def test_each_layer_wins_over_those_before(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.home.write_text(HOME)
    place.cwd.write_text(CWD)
    monkeypatch.setenv("P__CLICKHOUSE_DATABASE", "market_data")
    expected = {"user": "demo_user", "password": "abcdefg", "host": "xxx", "database": "market_data"}
    assert {"clickhouse": expected} == place.loader.load_config()
    assert {"clickhouse": {**expected, "port": 8443}} == place.loader.load_config({"clickhouse": {"port": 8443}})


def test_each_layer_is_a_method(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.home.write_text(HOME)
    place.cwd.write_text(CWD)
    monkeypatch.setenv("P__CLICKHOUSE_USER", "null")
    assert {"clickhouse": {"user": "demo_user", "password": "123456789"}} == place.loader.load_config_from_home()
    assert {"clickhouse": {"password": "abcdefg", "host": "xxx"}} == place.loader.load_config_from_cwd()
    assert {"clickhouse": {"user": None}} == place.loader.load_config_from_env()
    assert {"clickhouse": {"password": "abcdefg", "host": "xxx"}} == place.loader.load_config()


def test_none_removes_and_empty_tables_vanish(place: Place) -> None:
    place.home.write_text("[a]\nb = 1\n[c]\nd = [1, 2]\ne = 1\n")
    assert {"c": {"d": [3], "e": 1}} == place.loader.load_config({"a": {"b": None}, "c": {"d": [3]}, "x": {}})


def test_a_later_table_wins_over_a_value_and_the_reverse(place: Place) -> None:
    place.home.write_text("a = 1\n[b]\nc = 1\n")
    place.cwd.write_text("b = 2\n[a]\nb = 1\n")
    assert {"a": {"b": 1}, "b": 2} == place.loader.load_config()


def test_nothing_anywhere_is_an_empty_configuration(place: Place) -> None:
    assert {} == place.loader.load_config()
    assert {} == ConfigLoader(".p", "config.toml").load_config_from_env()


def test_places_are_looked_up_by_each_call(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.home.write_text("a = 1\n")
    assert {"a": 1} == place.loader.load_config()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert {} == place.loader.load_config()


def test_no_home_is_no_layer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    place.cwd.write_text("a = 1\n")
    monkeypatch.setattr(Path, "home", no_home)
    assert {"a": 1} == place.loader.load_config()


def test_one_file_has_no_second_place(place: Place) -> None:
    (place.home.parent.parent / "app.toml").write_text("a = 1\n")
    Path("app.toml").write_text("b = 2\n")
    loader = ConfigLoader.from_file("app.toml", env_prefix="P")
    assert {"b": 2, "c": 3} == loader.load_config({"c": 3})
    assert {} == loader.load_config_from_home()


def test_known_keys_of_files_and_types_are_resolved(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Settings:
        max_rows: int
        db: dict[str, int]

    place.home.write_text("[db]\npool_size = 1\n")
    monkeypatch.setenv("P__DB_POOL_SIZE", "5")
    monkeypatch.setenv("P__MAX_ROWS", "7")
    assert {"db": {"pool_size": 5}, "max": {"rows": 7}} == place.loader.load_config()
    assert Settings(7, {"pool_size": 5}) == place.loader.load(Settings)


def test_each_value_is_explained(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.home.write_text(HOME)
    place.cwd.write_text(CWD)
    monkeypatch.setenv("P__CLICKHOUSE_HOST", "h")
    found = {origin.key: origin for origin in place.loader.explain({"clickhouse": {"host": "last"}})}
    host, password = found["clickhouse.host"], found["clickhouse.password"]
    assert ("last", "the config argument") == (host.value, host.source)
    assert ("the environment variable P__CLICKHOUSE_HOST", ".p/config.toml:3") == host.covers
    assert "abcdefg" == password.value
    assert f"clickhouse.password = '***' (from .p/config.toml:2, over {place.home}:3)" == str(password)
    assert f"clickhouse.user = 'demo_user' (from {place.home}:2)" == str(found["clickhouse.user"])
    assert "abcdefg" not in repr(password)


def test_reprs_show_no_value(place: Place) -> None:
    assert "<ConfigLoader .p/config.toml, variables P__*>" == repr(place.loader)
    assert "<ConfigLoader .p/config.toml>" == repr(ConfigLoader(".p", "config.toml"))


@pytest.mark.parametrize("arguments", [(".p", ""), (".p", "config.toml", ""), (".p", 5), (".p", "c", 5)])
def test_empty_names_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidArgumentError):
        ConfigLoader(*arguments)


@pytest.mark.parametrize("config", [5, "abc", [("a", 1)], 0, ""])
def test_settings_are_a_mapping(config: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="config="):
        ConfigLoader(".p", "config.toml").load_config(config)


@pytest.mark.parametrize("interval", [0, -1.0, float("nan"), float("inf"), "1", None])
async def test_an_interval_must_be_positive(interval: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="interval"):
        await anext(ConfigLoader(".p", "config.toml").watch(interval=interval))


async def test_the_first_settings_of_a_watch_must_be_good(place: Place) -> None:
    place.cwd.write_text("a =")
    with pytest.raises(ConfigError):
        await anext(place.loader.watch())


async def test_a_watch_yields_each_change_and_outlasts_bad_ones(
    place: Place, virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    @dataclass
    class Settings:
        a: int = 0

    seen: list[Any] = []
    records: list[Settings] = []

    async def gather() -> None:
        async for config in place.loader.watch(config={"z": 1}):
            seen.append(config)  # noqa: PERF401

    async def gather_records() -> None:
        async for record in place.loader.watch(Settings, interval=0.5):
            records.append(record)  # noqa: PERF401

    tasks = [asyncio.create_task(gather()), asyncio.create_task(gather_records())]
    for text in ("a = 1", "a = 1 # the same", "a =", "a =", "a = 2"):
        await virtual_clock.advance(5)
        place.cwd.write_text(text)
    await virtual_clock.advance(5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [Config(z=1), Config(a=1, z=1), Config(a=2, z=1)] == seen
    assert [Settings(), Settings(1), Settings(2)] == records
    assert 2 == sum("the last good one stays" in record.message for record in caplog.records)


KEYS = st.sampled_from(["a", "b", "long_name", "x"])
VALUES = st.integers(-5, 5) | st.booleans() | st.sampled_from(["t", "007"]) | st.lists(st.integers(0, 3), max_size=2)
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3),
    lambda inner: st.dictionaries(KEYS, VALUES | inner, max_size=3),
    max_leaves=8,
)


def toml(table: Mapping[str, object], above: str = "") -> str:
    """Write a table as TOML: dotted keys, JSON values."""
    lines: list[str] = []
    for key, value in table.items():
        lines.append(toml(value, f"{above}{key}.") if is_table(value) else f"{above}{key} = {json.dumps(value)}\n")
    return "".join(lines)


def paths(table: Mapping[str, object], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    found: dict[tuple[str, ...], object] = {}
    for key, value in table.items():
        found |= paths(value, (*above, key)) if is_table(value) else {(*above, key): value}
    return found


def model(stack: list[dict[tuple[str, ...], object]]) -> dict[tuple[str, ...], object]:
    """Each leaf displaces what lies at, above or below it."""
    flat: dict[tuple[str, ...], object] = {}
    for layer in stack:
        for path, value in layer.items():
            near = {other for other in flat if other[: len(path)] == path[: len(other)]}
            flat = {other: kept for other, kept in flat.items() if other not in near}
            flat[path] = value
    return flat


def test_generated_stacks_merge_by_the_rule(tmp_path: Path, mainspring_count: Any) -> None:
    """Home, working directory, variables and argument, all generated, against the rule in its plainest form."""
    place = Place(tmp_path)

    @settings(max_examples=mainspring_count(60, 3000), deadline=None)
    @given(TABLES, TABLES, TABLES, TABLES)
    def check(
        home: dict[str, object], cwd: dict[str, object], environ: dict[str, object], last: dict[str, object]
    ) -> None:
        place.home.write_text(toml(home))
        place.cwd.write_text(toml(cwd))
        # a single word has no double underscore, so that a key with one of its own must be known
        kept = {path: value for path, value in paths(environ).items() if path != ("long_name",)}
        variables = {"P__" + "__".join(path).upper(): json.dumps(value) for path, value in kept.items()}
        with place.entered(**variables):
            loaded = place.loader.load_config(last)
            assert model([paths(home), paths(cwd), kept, paths(last)]) == paths(loaded)
            explained = {origin.key: origin.value for origin in place.loader.explain(last)}
            assert {".".join(path): value for path, value in paths(loaded).items()} == explained

    check()


async def test_loading_again_sees_a_new_file(place: Place) -> None:
    changes = place.loader.watch(interval=0.01)
    assert {} == await anext(changes)
    place.cwd.write_text("a = 1\n")
    upcoming = asyncio.ensure_future(anext(changes))
    await eventually(upcoming.done)
    assert {"a": 1} == await upcoming
    await changes.aclose()
