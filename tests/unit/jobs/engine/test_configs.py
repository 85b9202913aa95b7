"""Stored configs as runs see them: the version they keep, edits by hand, and what does not fit a schema."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.jobs.engine.support_engine import at, eventually, make_app, running

from mainspring.errors import ConfigError, JobDefinitionError
from mainspring.jobs import JobContext, RunState
from mainspring.jobs.engine import _configs

POLL = 0.05


class Page(msgspec.Struct):
    rows: int = 1


class Needy(msgspec.Struct):
    name: str
    rows: int = 1


def rows_of(config: Page) -> int:
    return config.rows


class Pages:
    """An app whose job `load` keeps the config of each of its runs."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path / "state.db"
        self.app = make_app(path, poll_interval=POLL)
        self.seen: list[dict[str, object]] = []
        self.failures = 0
        self.after_failure: Callable[[], object] = lambda: None

        @self.app.job("load", config={"rows": 1, "mode": "declared"}, **options)
        async def load(ctx: JobContext) -> None:
            self.seen.append(dict(ctx.config))
            if self.failures:
                self.failures -= 1
                self.after_failure()
                raise OSError("try again")

    def sql(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            connection.execute(statement, values)

    async def rows(self) -> object:
        self.seen.clear()
        result = await self.app.run_job("load")
        return result.error or self.seen[0].get("rows")


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    return Pages(tmp_path, retry=3)


@pytest.fixture
def strict(tmp_path: Path) -> Pages:
    return Pages(tmp_path, schema=Page)


async def test_a_stored_version_counts_at_once_and_a_call_covers_it(pages: Pages) -> None:
    async with running(pages.app) as app:
        await app.put_config("load", {"rows": 2})
        await app.run_job("load")
        await app.run_job("load", {"rows": 3})
        await app.put_config("load", {"rows": 4, "new": True})
        await app.run_job("load")
    async with running(Pages(pages.path.parent).app) as again:
        assert {"rows": 4, "mode": "declared", "new": True} == await again.effective_config("load")
    assert [
        {"rows": 2, "mode": "declared"},
        {"rows": 3, "mode": "declared"},
        {"rows": 4, "mode": "declared", "new": True},
    ] == pages.seen


async def test_retries_keep_the_version_of_the_first_start(pages: Pages) -> None:
    pages.failures = 1
    async with running(pages.app) as app:
        await app.put_config("load", {"rows": 2})
        started = app.run_job("load")
        pages.after_failure = lambda: pages.sql(
            "INSERT INTO config(job_id, version, value, effective_from, created_at) VALUES ('load', 2, ?, 0, 0)",
            '{"rows": 3}',
        )
        result = await started
        assert (RunState.SUCCEEDED, 2) == (result.state, result.attempt)
        assert [2, 2] == [one["rows"] for one in pages.seen]
        assert 3 == await pages.rows()


async def test_edits_and_deletes_by_hand_are_noticed(pages: Pages) -> None:
    async with running(pages.app) as app:
        for rows in (2, 3):
            await app.put_config("load", {"rows": rows})
        assert 3 == await pages.rows()

        async def found(rows: int) -> bool:
            return rows == await pages.rows()

        pages.sql("UPDATE config SET value = ? WHERE version = 2", '{"rows": 30}')
        await eventually(lambda: found(30))
        pages.sql("DELETE FROM config WHERE version = 2")
        await eventually(lambda: found(2))
        pages.sql("DELETE FROM config")
        await eventually(lambda: found(1))


@pytest.mark.parametrize("edit", ["5", "no json", '{"rows": "many"}'])
async def test_a_version_that_was_edited_into_nonsense_leaves_the_last_good_one(
    strict: Pages, edit: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def complained() -> bool:
        assert 3 == await strict.rows()
        return any("the last good one stays" in one.message for one in caplog.records)

    async with running(strict.app) as app:
        for rows in (2, 3):
            await app.put_config("load", {"rows": rows})
        assert 3 == await strict.rows()
        strict.sql("UPDATE config SET value = ? WHERE version = 2", edit)
        await eventually(complained)
        assert [2, 1] == [one.version for one in await app.config_history("load")]
    restarted = Pages(strict.path.parent, schema=Page)  # remembers nothing
    async with running(restarted.app):
        assert 2 == await restarted.rows()


@pytest.mark.parametrize("edit", ["nonsense", '{"rows": "many"}'])
async def test_the_effective_config_is_what_runs_get(strict: Pages, edit: str) -> None:
    """Also when the newest version is broken: the last good one that this node knows, else the one before it."""

    async def same(rows: int) -> bool:
        return (rows, rows) == (await strict.rows(), (await strict.app.effective_config("load"))["rows"])

    async def broken() -> bool:
        async with strict.app.reading() as reader:
            return (await reader.config_in_force("load")).problem is not None

    async with running(strict.app) as app:
        for rows in (30, 77):
            await app.put_config("load", {"rows": rows})
        assert await same(77)
        strict.sql("UPDATE config SET value = ? WHERE version = 2", edit)
        await eventually(broken)
        assert await same(77)
        strict.sql("INSERT INTO config VALUES ('load', 3, '[]', 9223372036854775807, 0, NULL, NULL)")
        async with app.reading() as reader:
            found = await reader.config_in_force("load")
    assert found.problem is not None
    assert ({"rows": 77, "mode": "declared"}, 2) == (found.values, found.version)
    assert found.problem.startswith("version 2" if edit == "nonsense" else "the config of job 'load' with version 2")
    strict.app = Pages(strict.path.parent, schema=Page).app  # remembers nothing
    async with running(strict.app) as app, app.reading() as reader:
        found = await reader.config_in_force("load")
        assert (30, 1) == (found.values["rows"], found.version)


async def test_a_settings_file_that_does_not_fit_leaves_the_effective_config(
    strict: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strict.path.parent)
    settings = strict.path.with_name("mainspring.toml")
    write(settings, "[jobs.load]\nrows = 5\n")
    async with running(strict.app) as app:
        assert 5 == await strict.rows()
        write(settings, '[jobs.load]\nrows = "many"\n')

        async def seen() -> bool:
            async with app.reading() as reader:
                return (await reader.config_in_force("load")).problem is not None

        await eventually(seen)
        assert 5 == (await app.effective_config("load"))["rows"] == await strict.rows()


@pytest.mark.parametrize("instant", [2**63 - 1, -(2**63), "'soon'"])
async def test_a_version_with_no_instant_is_listed_with_its_problem(pages: Pages, instant: object) -> None:
    async with running(pages.app) as app:
        await app.put_config("load", {"rows": 5})
        pages.sql(f"INSERT INTO config VALUES ('load', 2, '{{}}', {instant}, 0, NULL, NULL)")
        bad, good = await app.config_history("load")
        assert "its effective_from or created_at is no instant in the years 1 to 9999" == bad.problem
        assert (1, None) == (good.version, good.problem)
        assert 5 == await pages.rows() == (await app.effective_config("load"))["rows"]


async def test_nothing_to_fall_back_to_fails_the_run(tmp_path: Path) -> None:
    strict = Pages(tmp_path, schema=Needy)
    async with running(strict.app) as app:
        for config in (None, {"mode": "x"}):  # the call is not to blame
            result = await app.run_job("load", config)
            assert result.error is not None
            assert result.error.startswith("ConfigError: the config of job 'load': object missing required field")


async def test_a_call_whose_config_does_not_fit_makes_no_run(strict: Pages) -> None:
    """It is refused at once and named itself, not the stored version beneath it."""
    bad = {"rows": "many"}
    told = r"^the config that the call gives to job 'load': rows: expected `int`"

    @strict.app.job("parent")
    async def parent(ctx: JobContext) -> None:
        await ctx.spawn("load", bad)

    @strict.app.job("hourly", every=3600, schema=Page)
    async def hourly() -> None: ...

    async with running(strict.app) as app:
        await app.put_config("load", {"rows": 7})
        for wait in (True, False):
            with pytest.raises(ConfigError, match=told):
                await app.run_job("load", bad, wait=wait)
        spawned = await app.run_job("parent")
        with pytest.raises(ConfigError, match="the config that the call gives to job 'hourly': rows"):
            await app.backfill("hourly", at(0), at(3), config=bad)
        assert [] == await app.runs("load")
    assert (spawned.error or "").startswith("ConfigError: the config that the call gives to job 'load': rows")


async def test_what_a_call_leaves_out_may_be_stored(tmp_path: Path) -> None:
    strict = Pages(tmp_path, schema=Needy)
    async with running(strict.app) as app:
        await app.put_config("load", {"name": "x"})
        (await app.run_job("load", {"rows": 3})).check()
        with pytest.raises(ConfigError, match="the call gives to job 'load': rows"):
            await app.run_job("load", {"rows": "many"})


async def test_a_run_whose_call_fits_no_more_blames_the_call(tmp_path: Path) -> None:
    """It was made before the schema that it does not fit."""
    async with running(Pages(tmp_path).app) as app:
        made = await app.run_job("load", {"rows": "many"})
    strict = Pages(tmp_path, schema=Page)
    async with running(strict.app) as app:
        again = await app.wait_for_run((await app.retry(made.run_id)).run_id)
    assert (again.error or "").startswith("ConfigError: the config that the call gives to job 'load': rows: expected")


async def test_a_version_that_is_gone_when_a_retry_needs_it_leaves_an_older_one(
    pages: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    pages.failures = 1
    pages.after_failure = lambda: pages.sql("DELETE FROM config WHERE version = 3")
    async with running(pages.app) as app:
        await app.put_config("load", {"rows": 2})
        await app.put_config("load", {"rows": 9}, effective_from=at(24 * 365 * 100))
        await app.put_config("load", {"rows": 4})
        await app.run_job("load")
        assert [4] == [one["rows"] for one in pages.seen[:1]]
        assert pages.seen[1]["rows"] in (2, 4)  # the node may not have noticed yet
        assert 2 == await pages.rows()


async def test_a_version_must_fit_the_schema_to_be_stored(strict: Pages) -> None:
    async with running(strict.app) as app:
        with pytest.raises(ConfigError, match=r"the config of job 'load' with version 1: rows: expected `int`"):
            await app.put_config("load", {"rows": "many"})
        assert [] == await app.config_history("load")
        await app.put_config("load", {"rows": "7"})
        assert "7" == await strict.rows()


async def test_a_settings_file_that_does_not_fit_leaves_the_last_good_one(
    strict: Pages, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(strict.path.parent)
    settings = strict.path.with_name("mainspring.toml")
    write(settings, "[jobs.load]\nrows = 5\n")

    async def complained() -> bool:
        assert 5 == await strict.rows()
        return any("the last good one stays" in one.message for one in caplog.records)

    async with running(strict.app):
        assert 5 == await strict.rows()
        write(settings, '[jobs.load]\nrows = "many"\n')
        await eventually(complained)


async def test_a_handler_may_take_the_instance_of_the_schema(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    seen: list[object] = []

    @app.job("struct", schema=Page, config={"rows": "4"})
    async def struct(config: Page) -> None:
        seen.append(config)

    @app.job("text", schema=Page)
    async def text(config: "Page", ctx: JobContext) -> None:
        seen.extend([config, ctx.instance, ctx.config])

    @app.job("dict", schema=Page)
    async def plain(config: dict[str, object]) -> None:
        seen.append(config)

    app.job("process", schema=Page, config={"rows": 9}, executor="process")(rows_of)
    async with running(app):
        for job in ("struct", "text", "dict"):
            (await app.run_job(job)).check()
        assert 9 == (await app.run_job("process")).value
    assert [Page(4), Page(1), Page(1), {}, {}] == seen


def test_a_schema_of_another_kind_is_refused_at_the_decorator(tmp_path: Path) -> None:
    with pytest.raises(JobDefinitionError, match="a msgspec Struct, a dataclass or a pydantic model"):
        Pages(tmp_path, schema=int)


async def test_versions_in_memory_are_bounded(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_configs, "_KEPT", 1)
    async with running(pages.app) as app:
        for rows in (2, 3, 4):
            await app.put_config("load", {"rows": rows})
            assert rows == await pages.rows()
        assert 1 == len(app._opened().configs._good)


async def test_backfills_use_todays_config_or_that_of_the_interval(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    seen: dict[int, object] = {}

    @app.job("load", every=3600)
    async def load(ctx: JobContext) -> None:
        assert ctx.data_interval is not None
        seen[int((ctx.data_interval.start - at(0)).total_seconds() // 3600)] = ctx.config.get("rows")

    async with running(app):
        await app.put_config(load, {"rows": 1}, effective_from=at(1))
        await app.put_config(load, {"rows": 2}, effective_from=at(2))
        for how, found in (("interval", {0: None, 1: 1, 2: 2}), ("now", {0: 2, 1: 2, 2: 2})):
            seen.clear()
            backfill = await app.backfill(load, at(0), at(3), reprocess="all", config_at=how)  # type: ignore[arg-type]
            await backfill.wait()
            assert found == seen


async def test_of_two_that_store_a_version_at_once_both_are_kept(tmp_path: Path) -> None:
    one, two = Pages(tmp_path), Pages(tmp_path)
    async with running(one.app), running(two.app):
        apps = [one.app, two.app] * 5
        await asyncio.gather(*(app.put_config("load", {f"key{n}": n}, merge=True) for n, app in enumerate(apps)))
        assert 2 + 10 == len(await one.app.effective_config("load"))
        assert 10 == len(await two.app.config_history("load"))


async def test_a_retry_by_hand_keeps_the_version_unless_the_latest_is_asked_for(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    seen: list[object] = []

    @app.job("load")
    async def load(ctx: JobContext) -> None:
        seen.append(ctx.config.get("rows"))
        if len(seen) < 5:
            raise ValueError("no luck")

    async def retry(run_id: str, *, latest_config: bool = False) -> str:
        return (await app.retry(run_id, latest_config=latest_config)).run_id

    async with running(app):
        without = await app.run_job(load)
        await app.put_config(load, {"rows": 1})
        first = await app.run_job(load)
        await app.put_config(load, {"rows": 2})
        for run_id, latest in ((without.run_id, False), (first.run_id, False), (without.run_id, True)):
            await app.wait_for_run(await retry(run_id, latest_config=latest))
    assert [None, 1, None, 1, 2] == seen
