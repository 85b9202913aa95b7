"""Sinks as the jobs of an app use them: registered by decorating, spooled over a restart, keyed, never half written."""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running
from tests.unit.sinks.support_targets import AT_ONCE, Target

from mainspring.errors import UnknownSinkError
from mainspring.jobs import JobApp, JobContext
from mainspring.jobs.engine._store_url import spool_folder
from mainspring.jobs.stores import SqliteStore
from mainspring.sinks import Delivery, JsonLines, SqlTable, TypedSink, on
from mainspring.testing import eventually


@dataclass
class Trade:
    symbol: str


def collector(got: list[Trade], *, down: Callable[[], bool]) -> "Callable[[Path], JobApp]":
    """Return a maker of apps whose sink of trades is down while `down()`."""

    def make(folder: Path) -> JobApp:
        app = make_app(folder)

        @app.sink(Trade, delivery=Delivery(retry=AT_ONCE, on_failure="spool"))
        async def keep(batch: list[Trade]) -> None:
            if down():
                raise OSError("down")
            got.extend(batch)

        @app.job("trades")
        async def trades(ctx: JobContext) -> None:
            await ctx.emit(Trade("A"))

        return app

    return make


async def test_spooled_items_of_a_run_arrive_when_the_app_starts_again(tmp_path: Path) -> None:
    got: list[Trade] = []
    states = [True]
    make = collector(got, down=lambda: states[-1])
    async with running(make(tmp_path)) as app:
        result = await app.run_job("trades")
        assert result.ok
        assert "items are spooled: 1 of sink 'collector.<locals>.make.<locals>.keep'" == result.error
    assert [] == got
    states.append(False)
    async with running(make(tmp_path)):
        await eventually(lambda: got == [Trade("A")])


async def test_the_record_of_a_run_says_that_the_spool_was_full(tmp_path: Path) -> None:
    app = make_app(tmp_path, spool_bytes=50)

    @app.sink(Trade, delivery=Delivery(retry=AT_ONCE, on_failure="spool"))
    async def keep(batch: list[Trade]) -> None:
        raise OSError("nobody answers")

    @app.job("load")
    async def load(ctx: JobContext) -> None:
        await ctx.emit(Trade("A" * 100))

    async with running(app):
        result = await app.run_job("load")
    assert "OSError: nobody answers; they could not be kept either: the spool" in str(result.error)
    assert "is full: it holds 0 of at most 50 bytes" in str(result.error)


async def test_a_job_may_bring_a_sink_that_spools(tmp_path: Path) -> None:
    class Own(Target):
        delivery = Delivery(retry=AT_ONCE, on_failure="spool")

    sinks = [Own(down=True), Own()]
    for sink in sinks:
        app = make_app(tmp_path)

        @app.job("rows", sink=sink)
        async def rows() -> AsyncGenerator[dict[str, int]]:
            yield {"n": 1}

        async with running(app):
            if sink.down:
                assert (await app.run_job("rows")).ok
            else:
                await sink.until(1)
    assert [[], [{"n": 1}]] == [sink.got for sink in sinks]


async def test_a_class_of_sinks_is_registered_by_decorating_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    got: list[Trade] = []

    @app.sink()
    class TradeSink(TypedSink):
        @on(Trade)
        async def write(self, batch: list[Trade]) -> None:
            got.extend(batch)

    @app.job("bound", sink=TradeSink())
    async def bound() -> AsyncGenerator[Trade]:
        yield Trade("A")

    @app.job("routed")
    async def routed() -> AsyncGenerator[Trade]:
        yield Trade("B")

    async with running(app):
        (await app.run_job("bound")).check()
        (await app.run_job("routed")).check()
    assert [Trade("A"), Trade("B")] == got


async def test_a_run_whose_sink_refuses_fails_and_others_are_untouched(tmp_path: Path) -> None:
    app, broken, fine = make_app(tmp_path), Target(down=True), Target()
    app.sink(sink=broken, name="broken", delivery=Delivery(retry=AT_ONCE))
    app.sink(sink=fine, name="fine")

    @app.job("emits")
    async def emits(ctx: JobContext, config: dict[str, str]) -> None:
        await ctx.emit({"n": 1}, sink=config["sink"])

    async with running(app):
        assert "OSError: refused" in ((await app.run_job("emits", {"sink": "broken"})).error or "")
        assert (await app.run_job("emits", {"sink": "fine"})).ok
    assert ([], [{"n": 1}]) == (broken.got, fine.got)


async def test_a_deterministic_jobs_items_count_once_though_they_have_no_names(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("letters", cron="0 0 * * *", deterministic=True, sink=SqlTable("letters", item_key=True))
    async def letters() -> AsyncGenerator[dict[str, str]]:
        for letter in "aab":
            yield {"letter": letter}

    days = date(2013, 1, 1), date(2013, 1, 3)
    async with running(app):
        for _ in range(2):
            assert (await (await app.backfill(letters, *days, reprocess="all")).wait()).succeeded == 2
    with sqlite3.connect(tmp_path / "state.db") as connection:
        found = connection.execute("SELECT letter FROM letters ORDER BY letter").fetchall()
    connection.close()
    assert [("a",)] * 4 + [("b",)] * 2 == found


async def test_a_run_removes_what_the_last_one_of_its_interval_wrote_into_sinks_of_the_app(tmp_path: Path) -> None:
    app, emitted = make_app(tmp_path), [Trade("A"), Trade("B")]
    app.sink(Trade, sink=SqlTable("trades", replace="interval"))
    app.sink(str, sink=JsonLines(tmp_path / "{job}-{start:%d}.jsonl"), name="texts")

    @app.job("conditional", cron="0 0 * * *")
    async def conditional(ctx: JobContext) -> None:
        for trade in emitted:
            await ctx.emit(trade)
            await ctx.emit(trade.symbol)

    @app.job("idle", cron="0 0 * * *")
    async def idle(ctx: JobContext) -> None: ...

    def found() -> tuple[int, list[str]]:
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM trades").fetchall()
        return count, [path.read_text() for path in sorted(tmp_path.glob("*.jsonl"))]

    async with running(app):
        for left in (4, 0):
            for job in (conditional, idle):
                backfill = await app.backfill(job, date(2013, 1, 1), date(2013, 1, 3), reprocess="all")
                assert 2 == (await backfill.wait()).succeeded
            assert (left, ['"A"\n"B"\n' if left else ""] * 2) == found()
            emitted.clear()


async def test_a_renamed_job_replaces_its_rows_and_those_of_no_other(tmp_path: Path) -> None:
    """Neither those of a job that has the old name today."""
    days = date(2013, 1, 1), date(2013, 1, 3)

    async def load(*names: str, **options: list[str]) -> None:
        app = make_app(tmp_path)

        async def rows(ctx: JobContext) -> AsyncGenerator[dict[str, str]]:
            yield {"by": f"{ctx.job_id} of {names}"}

        for name in names:
            was = options.get(name, [])
            app.job(name, cron="0 0 * * *", was=was, sink=SqlTable("days", replace="interval"))(rows)
        async with running(app):
            for name in names:
                assert (await (await app.backfill(name, *days, reprocess="all")).wait()).succeeded == 2

    def found() -> list[tuple[str, int]]:
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            return connection.execute("SELECT by, count(*) FROM days GROUP BY by ORDER BY by").fetchall()

    await load("old")
    await load("new", new=["old"])
    assert [("new of ('new',)", 2)] == found()
    await load("old", "new", new=["old"])
    assert [("new of ('old', 'new')", 2), ("old of ('old', 'new')", 2)] == found()


async def test_an_app_whose_override_names_no_sink_does_not_open(tmp_path: Path) -> None:
    """A test would write into the real sink."""
    app = make_app(tmp_path)

    @app.sink(Trade, name="trades")
    async def trades(batch: list[Trade]) -> None: ...

    app.override_sink("trade", Target())
    with pytest.raises(UnknownSinkError, match="there is no sink 'trade'"):
        await app.open()
    await app.close()


async def test_tests_may_put_another_sink_in_the_place_of_one(tmp_path: Path) -> None:
    app, table, everything = make_app(tmp_path), Target(), Target()

    @app.sink(Trade, name="trades")
    async def trades(batch: list[Trade]) -> None:
        raise OSError("the real one")

    @app.job("both", sink=SqlTable("rows"))
    async def both(ctx: JobContext) -> None:
        await ctx.emit({"n": 1})
        await ctx.emit(Trade("A"), sink="trades")

    assert trades.__name__ == "trades"
    app.override_sink("trades", everything)
    app.override_sink("job both", table)
    async with running(app):
        (await app.run_job("both")).check()
    assert ([{"n": 1}], [Trade("A")]) == (table.got, everything.got)


def test_the_spool_lies_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAINSPRING_STORE", raising=False)
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path))
    assert spool_folder(f"sqlite:///{tmp_path}/jobs.db") == tmp_path / "jobs.db-spool"
    assert spool_folder(None) == tmp_path / "spool"
    assert spool_folder(SqliteStore(tmp_path / "x.db")) == tmp_path / "spool"
