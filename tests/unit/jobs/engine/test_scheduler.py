"""Schedules become runs: at their time, once, also after the program was away."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import structs
from tests.unit.jobs.engine.support_engine import START, eventually, make_app, running

from mainspring.base import current_clock
from mainspring.jobs import DataInterval, JobApp, JobContext, Need, RunState
from mainspring.jobs.engine import _scheduler
from mainspring.jobs.engine._scheduler import MOST_AHEAD, due_after
from mainspring.jobs.model import Every
from mainspring.jobs.stores import MemoryData, MemoryStore
from mainspring.testing import VirtualClock

LIVE = [state for state in RunState if not state.terminal]


def app_with(path: Path, seen: list[Any], **options: Any) -> JobApp:
    app = make_app(path)

    @app.job("tick", **options)
    async def tick(data_interval: DataInterval | None, scheduled_time: datetime) -> None:
        seen.append(data_interval or scheduled_time)

    return app


async def _at_least(seen: list[Any], count: int) -> bool:
    return len(seen) >= count


async def test_intervals_of_a_running_schedule_follow_each_other(tmp_path: Path) -> None:
    seen: list[DataInterval] = []
    async with running(app_with(tmp_path, seen, every=0.05, missed="all")):
        await eventually(lambda: _at_least(seen, 4))
    ordered = sorted(seen, key=lambda one: one.start)
    assert len(set(ordered)) == len(ordered)
    assert all(one.end == two.start for one, two in pairwise(ordered))


async def test_what_was_missed_while_away_runs_once_each(tmp_path: Path) -> None:
    seen: list[DataInterval] = []
    now = current_clock().now()
    options: dict[str, Any] = {"every": 3600.0, "missed": "all", "start_at": now - timedelta(hours=301)}
    async with running(app_with(tmp_path, seen, **options)):
        await eventually(lambda: _at_least(seen, 300))
    async with running(app_with(tmp_path, seen, **options)) as app:

        async def all_are_done() -> bool:  # one more of them when an hour ends meanwhile
            return await app.watermark("tick") == max(one.end for one in seen)

        await eventually(all_are_done)
    assert len(set(seen)) == len(seen)


async def test_latest_runs_one_and_records_the_rest_as_skipped(tmp_path: Path) -> None:
    seen: list[DataInterval] = []
    start = current_clock().now() - timedelta(hours=10)
    async with running(app_with(tmp_path, seen, every=3600.0, start_at=start, missed="latest")) as app:
        await eventually(lambda: _at_least(seen, 1))

        async def recorded() -> bool:
            return bool(await app.runs("tick", states=[RunState.SUCCEEDED]))

        await eventually(recorded)
        (skipped,) = await app.runs("tick", states=[RunState.SKIPPED])
        assert await app.watermark("tick") == seen[0].end
    assert skipped.interval_end == int(seen[0].start.timestamp() * 1e6)


async def test_skip_runs_the_newest_interval_only_within_its_grace(tmp_path: Path) -> None:
    """The seed's word for it reaches the plan: an hour late is on time for one job, and not for the other."""
    app = make_app(tmp_path)
    ran: list[str] = []
    now = current_clock().now()
    options: dict[str, Any] = {"every": 86_400.0, "start_at": now - timedelta(days=3), "missed": "skip"}

    @app.job("patient", misfire_grace_time=90_000.0, **options)
    async def patient() -> None:
        ran.append("patient")

    @app.job("strict", misfire_grace_time=0.001, **options)
    async def strict() -> None:
        ran.append("strict")

    async with running(app):

        async def handled() -> bool:
            skipped = await app.runs("strict", states=[RunState.SKIPPED])
            return bool(skipped and await app.runs("patient", states=[RunState.SUCCEEDED]))

        await eventually(handled)
        assert len(await app.runs("patient", states=[RunState.SKIPPED])) == 1
    assert ran == ["patient"]


async def test_an_instant_fires_once_and_is_not_fired_again(tmp_path: Path) -> None:
    seen: list[datetime] = []
    instant = current_clock().now() + timedelta(seconds=0.1)
    options = {"at": instant, "start_at": instant - timedelta(hours=1)}  # also when the start takes longer than that
    async with running(app_with(tmp_path, seen, **options)):
        await eventually(lambda: _at_least(seen, 1))
    async with running(app_with(tmp_path, seen, **options)):
        pass
    assert [instant] == seen


def test_a_job_whose_row_was_deleted_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    data = MemoryData()
    app = JobApp("t", store=MemoryStore(data))
    ran: list[str] = []

    @app.job("lost", every=60)
    async def lost() -> None:
        ran.append("lost")

    @app.job("kept", every=60)
    async def kept() -> None:
        ran.append("kept")

    async def main() -> None:
        async with running(app):
            del data.jobs["lost"]
            await asyncio.sleep(190)

    with VirtualClock(START) as clock:
        clock.run(main())
    assert ["kept"] * 3 == ran
    told = [one.message for one in caplog.records if one.name == "mainspring.jobs.engine._scheduler"]
    assert ["job lost is gone from the store: its schedule rests until it is registered again"] == told


def test_a_cursor_that_is_no_instant_rests_its_job_only(caplog: pytest.LogCaptureFixture) -> None:
    data = MemoryData()
    app = JobApp("t", store=MemoryStore(data))
    ran: Counter[str] = Counter()
    for name in ("bad", "good"):

        @app.job(name, every=60)
        async def tick(ctx: JobContext) -> None:
            ran[ctx.job_id] += 1

    async def main() -> None:
        async with running(app):
            await asyncio.sleep(70)
            data.jobs["bad"] = structs.replace(data.jobs["bad"], cursor=10**18)
            data.version += 1
            await asyncio.sleep(60)
            await app.pause("good")
            await asyncio.sleep(60)
        async with running(app):
            await app.resume("good")
            await asyncio.sleep(60)

    with VirtualClock(START) as clock:
        clock.run(main())
    assert {"bad": 1, "good": 4} == ran
    assert "job bad has a cursor that is no instant: its schedule rests" in caplog.text


def test_a_schedule_that_cannot_be_advanced_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with it: the others run in time, and it does, too, once that has been put right."""
    app = JobApp("t", store="memory")
    ran: Counter[str] = Counter()
    for name, every in (("bad", 45), ("good", 20)):

        @app.job(name, every=every)
        async def tick(ctx: JobContext) -> None:
            ran[ctx.job_id] += 1

    sound = Every.previous_fire

    def broken(self: Every, before: datetime) -> datetime | None:
        if self.interval == 45:
            raise ZeroDivisionError
        return sound(self, before)

    async def main() -> None:
        async with running(app):
            with monkeypatch.context() as patch:
                patch.setattr(Every, "previous_fire", broken)
                await asyncio.sleep(110)
            assert {"good": 5} == ran
            await asyncio.sleep(105)

    with VirtualClock(START) as clock:
        clock.run(main())
    assert "the schedule of job bad cannot be advanced; tried again in 60 s" in caplog.text
    assert {"good": 10, "bad": 2} == ran


async def test_two_nodes_on_one_file_fire_once(tmp_path: Path) -> None:
    seen: list[DataInterval] = []
    options: dict[str, Any] = {"every": 0.05, "missed": "all", "max_instances": 4}
    async with (
        running(app_with(tmp_path, seen, **options)),
        running(app_with(tmp_path, seen, **options)),
    ):
        await eventually(lambda: _at_least(seen, 20), within=20)
    assert len(set(seen)) == len(seen)


async def test_a_delay_and_a_jitter_move_the_run_and_not_the_interval(tmp_path: Path) -> None:
    seen: list[DataInterval] = []
    options: dict[str, Any] = {"every": 0.2, "missed": "all", "delay": 0.05, "jitter": 0.02}
    async with running(app_with(tmp_path, seen, **options)) as app:
        await eventually(lambda: _at_least(seen, 2))
        runs = await app.runs("tick", states=[RunState.SUCCEEDED])
    for run in runs:
        assert run.scheduled_at is not None
        assert run.scheduled_at == run.interval_end
        assert (run.started_at or 0) >= run.scheduled_at + 50_000


async def test_ten_years_of_minutes_are_caught_up_a_bounded_part_at_a_time(tmp_path: Path) -> None:
    """While nobody ends the first runs no more are made, and with their ends it goes on from where it was.

    The app looks by itself once a minute only, so that it is the ends that make it go on.
    """
    app = make_app(tmp_path, poll_interval=60.0)
    gate, ended = asyncio.Event(), 0
    start = current_clock().now() - timedelta(days=3650)

    @app.job("minutes", every=60.0, start_at=start, missed="all", overlap="allow")
    async def minutes() -> None:
        nonlocal ended
        await gate.wait()
        ended += 1

    async with running(app):
        scheduler = (await app.open()).scheduler

        async def held() -> bool:
            return bool(scheduler.held_jobs)

        async def gone_on() -> bool:
            return ended > 2 * MOST_AHEAD

        await eventually(held, within=30)
        live = len(await app.runs("minutes", states=LIVE, limit=10 * MOST_AHEAD))
        gate.set()
        await eventually(gone_on, within=60)
    assert MOST_AHEAD <= live < 2 * MOST_AHEAD


async def test_an_app_that_only_runs_what_others_create_does_not_schedule(tmp_path: Path) -> None:
    seen: list[DataInterval] = []
    app = app_with(tmp_path, seen, every=0.02)
    app._schedule = False
    async with running(app):
        await asyncio.sleep(0)
        assert await app.runs("tick") == []


async def test_a_schedule_that_waits_for_another_job_makes_waiting_runs(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    order: list[str] = []
    start = current_clock().now() - timedelta(hours=4)

    @app.job("first", every=3600.0, start_at=start, missed="all")
    async def first() -> None:
        order.append("first")

    @app.job("second", every=3600.0, start_at=start, missed="all", needs=("first",))
    async def second() -> None:
        order.append("second")

    async def all_ran() -> bool:  # one more of each when an hour ends meanwhile
        return 3 <= order.count("first") == order.count("second")

    async with running(app):
        await eventually(all_ran)
    assert order[0] == "first"


def test_a_skipped_interval_is_covered_for_those_only_who_accept_it() -> None:
    app = JobApp("test", store="memory")
    ran: Counter[str] = Counter()
    options: dict[str, Any] = {"every": 3600.0, "start_at": START - timedelta(hours=5)}
    needs: dict[str, tuple[str | Need, ...]] = {
        "up": (),
        "strict": ("up",),
        "lenient": (Need("up", allow_skipped=True),),
    }
    for name, needed in needs.items():

        @app.job(name, **options, missed="latest" if name == "up" else "all", needs=needed)
        async def tick(ctx: JobContext) -> None:
            ran[ctx.job_id] += 1

    async def main() -> None:
        async with running(app):
            await asyncio.sleep(10.0)
            waiting = await app.runs("strict", states=[RunState.WAITING])
            assert ["blocked by up 2012-12-31T22:00Z", "blocked by up 2012-12-31T19:00Z"] == [
                waiting[0].blocked_by,
                waiting[-1].blocked_by,
            ]

    with VirtualClock(START) as clock:
        clock.run(main())
    assert {"up": 1, "strict": 1, "lenient": 5} == ran


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_is_caught_up_goes_oldest_first_whatever_the_jitter(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scheduler, "_PER_JOB", 20)  # so that it takes several steps
    app = JobApp("test", store="memory" if kind == "memory" else tmp_path / "state.db", durability="process")
    ran: list[datetime] = []

    @app.job("tick", every=60.0, jitter=600.0, missed="all", start_at=START)
    async def tick(data_interval: DataInterval) -> None:
        ran.append(data_interval.start)

    async def main() -> None:
        async with running(app), asyncio.timeout(3600.0):
            while len(ran) < 49:  # noqa: ASYNC110 (virtual time, which handlers of any thread hold)
                await asyncio.sleep(1.0)

    with VirtualClock(START + timedelta(minutes=50.5)) as clock:
        clock.run(main())
    assert [START + timedelta(minutes=number) for number in range(49)] == ran[:49]


@pytest.mark.parametrize("overlap", ["queue", "allow"])
async def test_max_instances_bounds_scheduled_runs_unless_overlap_is_allowed(
    tmp_path: Path, overlap: Literal["queue", "allow"]
) -> None:
    app = make_app(tmp_path)
    running_now, most, ended = 0, 0, 0
    start = current_clock().now() - timedelta(hours=21)
    options: dict[str, Any] = {"every": 3600.0, "start_at": start, "missed": "all", "overlap": overlap}
    if overlap == "queue":
        options |= {"max_instances": 2, "concurrency_key": "shared"}

    @app.job("wide", **options)
    async def wide() -> None:
        nonlocal running_now, most, ended
        running_now += 1
        most = max(most, running_now)
        for _ in range(10):
            await asyncio.sleep(0)
        running_now -= 1
        ended += 1

    async def all_ended() -> bool:
        return ended >= 20

    async with running(app):
        await eventually(all_ended)
    assert most <= 2 if overlap == "queue" else most > 2


def test_jobs_on_one_schedule_differ_as_their_options_say() -> None:
    """They are due in one step, in which like is planned once."""
    seen: Counter[str] = Counter()
    app = JobApp("test", store="memory")
    start = START - timedelta(hours=10)
    options: dict[str, dict[str, Any]] = {
        "all": {"missed": "all"},
        "all too": {"missed": "all"},
        "latest": {},
        "late": {"missed": "all", "delay": 7200.0},
        "short": {"missed": "all", "max_lookback": 3.5 * 3600},
        "on time": {"missed": "skip"},
    }
    for name, given in options.items():

        @app.job(name, every=3600.0, start_at=start, **given)
        async def tick(ctx: JobContext) -> None:
            seen[ctx.job_id] += 1

    async def main() -> None:
        async with running(app):
            await asyncio.sleep(1.0)

    with VirtualClock(START) as clock:
        clock.run(main())
    assert {"all": 10, "all too": 10, "latest": 1, "late": 8, "short": 4, "on time": 1} == seen


def test_a_job_without_a_schedule_is_never_due(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("asked")
    async def asked() -> None: ...

    assert due_after(app.jobs["asked"], 0) is None


def test_times_are_utc() -> None:
    assert current_clock().now().tzinfo is UTC
