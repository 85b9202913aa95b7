"""Schedules put over those of the code, pauses, and what nodes make of them."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.unit.jobs.engine.support_engine import at, eventually, make_app, running

from mainspring.base import encode_json
from mainspring.errors import ConfigError, InvalidArgumentError, NeedsError
from mainspring.jobs import At, Cron, DataInterval, Every, JobApp, JobContext
from mainspring.jobs.engine._overrides import read_schedule
from mainspring.jobs.stores import MemoryData, MemoryStore
from mainspring.testing import VirtualClock


def memory_app() -> tuple[JobApp, list[DataInterval | None]]:
    app = JobApp("steered", store="memory", poll_interval=60)
    seen: list[DataInterval | None] = []

    @app.job("hourly", cron="0 * * * *", timezone="Europe/Berlin", missed="all")
    async def hourly(ctx: JobContext) -> None:
        seen.append(ctx.data_interval)

    @app.job("plain")
    async def plain(ctx: JobContext) -> None:
        seen.append(ctx.data_interval)

    return app, seen


def ends(seen: list[DataInterval | None]) -> list[int]:
    return [one.end.minute for one in seen if one is not None]


async def test_another_schedule_counts_at_once_and_its_first_interval_is_clipped(virtual_clock: VirtualClock) -> None:
    app, seen = memory_app()
    async with running(app):
        await virtual_clock.advance(2.5 * 3600)
        seen.clear()
        await app.set_schedule("hourly", cron="*/20 * * * *")
        await virtual_clock.advance(3600)
        assert [20, 40, 0, 20] == ends(seen)
        assert "Europe/Berlin" == app.jobs["hourly"].timezone
        await app.reset_schedule("hourly")
        await virtual_clock.advance(2 * 3600)
        times = sorted((one for one in seen if one is not None), key=lambda one: one.start)
        assert all(one.end == after.start for one, after in pairwise(times))
        assert [0, 0] == ends(seen)[-2:]
        assert [(3, "reset"), (2, "override"), (1, "code")] == [
            (one.version, one.origin) for one in await app.schedule_history("hourly")
        ]
        second = (await app.schedule_history("hourly"))[1]
        assert Cron("*/20 * * * *", "Europe/Berlin") == second.schedule
        assert second.since is not None


async def test_a_job_without_a_schedule_is_given_one(virtual_clock: VirtualClock) -> None:
    app, seen = memory_app()
    async with running(app):
        await virtual_clock.advance(300)
        await app.set_schedule("plain", every=600, timezone="America/New_York")
        await virtual_clock.advance(3600)
        assert 6 == sum(one is not None and one.duration == 600 for one in seen)
        await app.reset_schedule("plain")
        seen.clear()
        await virtual_clock.advance(3600)
        assert 1 == len(seen)  # of the other job
        assert None is app.jobs["plain"].schedule


async def test_a_paused_job_makes_up_for_what_it_missed(virtual_clock: VirtualClock) -> None:
    app, seen = memory_app()
    async with running(app):
        await app.pause("hourly")
        await virtual_clock.advance(5.5 * 3600)
        assert [] == seen
        assert (await app.run_job("hourly")).ok
        await app.resume("hourly")
        await virtual_clock.advance(1)
        assert 5 == len(ends(seen))


async def test_pauses_and_schedules_outlive_the_program(tmp_path: Path) -> None:
    def make() -> JobApp:
        app = make_app(tmp_path)

        @app.job("load", every=3600)
        async def load() -> None:
            pass

        return app

    app = make()
    await app.open(runner=False)
    await app.pause("load")  # it was never registered: no app ran
    await app.set_schedule("load", every=60)
    assert Every(60) == app.jobs["load"].schedule
    await app.close()
    assert Every(3600) == app.jobs["load"].schedule
    async with running(make()) as again:
        assert Every(60) == again.jobs["load"].schedule
        (row,) = await again.store.jobs()
        assert row.paused
        assert 60 == len(again.intervals("load", at(0), at(1)))
    planning = make()
    await planning.open(runner=False)
    assert Every(60) == planning.jobs["load"].schedule
    await planning.close()


async def test_a_node_that_schedules_nothing_follows_edits_by_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path, schedule=False)

    @app.job("load", every=3600)
    async def load() -> None:
        pass

    def write(spec: str | None) -> None:
        with closing(sqlite3.connect(tmp_path / "state.db", timeout=10)) as connection, connection:
            connection.execute("UPDATE job SET override = ?", (spec,))

    async def is_at() -> bool:
        return isinstance(app.jobs["load"].schedule, At)

    async def is_declared() -> bool:
        return Every(3600) == app.jobs["load"].schedule

    async def complained() -> bool:
        return any("the last good one stays" in one.message for one in caplog.records)

    async with running(app):
        write('{"kind": "at", "instant": 5}')
        await eventually(is_at)
        write('{"kind": "at"}')
        await eventually(complained)
        assert await is_at()
        newest = (await app.schedule_history("load"))[0]
        assert newest.schedule is None
        assert "the stored schedule of job 'load': no 'instant' is given" == newest.problem
        write(None)
        await eventually(is_declared)


@pytest.mark.parametrize(("options", "edited"), [({"every": 3600}, None), ({}, encode_json(Every(3600).spec()))])
def test_the_first_schedule_of_a_job_counts_from_then_on(options: dict[str, Any], edited: bytes | None) -> None:
    """Whether the next version of the program brings it, or somebody's own SQL."""
    data = MemoryData()
    seen: list[DataInterval | None] = []

    async def live(*, override: bytes | None = None, **options: Any) -> None:
        app = JobApp("grown", store=MemoryStore(data))

        @app.job("load", **options)
        async def load(ctx: JobContext) -> None:
            seen.append(ctx.data_interval)

        async with running(app):
            data.jobs["load"] = structs.replace(data.jobs["load"], override=override)
            data.version += 1
            await asyncio.sleep(2.25 * 3600)

    with VirtualClock(at(0)) as clock:
        clock.run(live())
    with VirtualClock(at(3.5)) as clock:
        clock.run(live(override=edited, **options))
    assert [at(4), at(5)] == [one.end for one in seen if one is not None]


async def test_what_cannot_be_a_schedule_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("first", every=60)
    async def first() -> None:
        pass

    @app.job("second", every=3600, needs=("first",))
    async def second() -> None:
        pass

    async with running(app):
        with pytest.raises(InvalidArgumentError, match="only one of them"):
            await app.set_schedule("first", every=5, cron="* * * * *")
        with pytest.raises(InvalidArgumentError, match="one of cron=, every=, at="):
            await app.set_schedule("first")
        with pytest.raises(NeedsError):
            await app.set_schedule("first", at=at(0))
        assert 1 == len(await app.schedule_history("first"))


@pytest.mark.parametrize(
    "spec", [b"5", b"no json", b"{}", b'{"kind": "cron", "expression": 5}', b'{"kind": "every", "interval": "x"}']
)
def test_a_stored_schedule_that_is_none_is_named(spec: bytes) -> None:
    with pytest.raises(ConfigError, match="the stored schedule of job 'load': "):
        read_schedule(spec, job_id="load")


async def test_a_job_paused_by_a_process_that_runs_nothing_makes_no_runs(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("load", every=3600, start_at=at(0), missed="latest")
    async def load() -> None:
        pass

    await app.open(runner=False)
    await app.pause("load")
    await app.close()
    async with running(app):
        await (await app.backfill("load", at(0), at(0) + timedelta(hours=1))).wait()
        assert ["backfill"] == [run.kind for run in await app.runs("load")]
        await app.resume("load")

        async def is_made() -> bool:
            return "schedule" in {run.kind for run in await app.runs("load")}

        await eventually(is_made)


def app_of(data: MemoryData, seen: list[DataInterval], **options: Any) -> JobApp:
    """Return a program with its own code, on a store that it shares."""
    app = JobApp("code", store=MemoryStore(data), poll_interval=10)

    @app.job("load", missed="all", **options)
    async def load(ctx: JobContext) -> None:
        if ctx.data_interval is not None:
            seen.append(ctx.data_interval)

    return app


async def test_of_two_codes_on_one_store_the_later_one_says_the_schedule(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    data, seen = MemoryData(), list[DataInterval]()
    old, new = app_of(data, seen, every=60), app_of(data, seen, every=90)
    async with running(old):
        await virtual_clock.advance(300)
        async with running(new):
            await virtual_clock.advance(15)
            assert Every(90) == old.jobs["load"].schedule
            await virtual_clock.advance(1785)
        times = sorted(seen, key=lambda one: one.start)
        assert all(one.end == after.start for one, after in pairwise(times))
        lengths = [(one.end - one.start).total_seconds() for one in times]
        assert [60.0] * 5 == lengths[:5]
        assert {90.0} == set(lengths[6:]), "both go by the new one"
        assert [(2, "code"), (1, "code")] == [(one.version, one.origin) for one in await old.schedule_history("load")]
    assert Every(60) == old.jobs["load"].schedule, "a closed app shows its code"
    assert 1 == caplog.text.count("job load goes by every 90")


async def test_what_later_code_has_no_schedule_for_is_not_scheduled(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    data, seen = MemoryData(), list[DataInterval]()
    old, new = app_of(data, seen, every=60), JobApp("code", store=MemoryStore(data), poll_interval=10)
    new.job("load")(plain)
    async with running(old), running(new):
        await virtual_clock.advance(15)
        assert None is old.jobs["load"].schedule
        count = len(seen)
        await virtual_clock.advance(600)
        assert count == len(seen)
        assert None is new.jobs["load"].schedule
    assert "job load has no schedule" in caplog.text
    async with running(new), running(app_of(data, seen, every=60)):
        await virtual_clock.advance(15)
        assert None is new.jobs["load"].schedule, "code without one leaves it to the other"


async def plain() -> None: ...
