"""A backfill runs every interval once, survives its makers, and can be steered."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running

from mainspring.base import current_clock
from mainspring.errors import ClosedError, InvalidArgumentError, UnknownBackfillError
from mainspring.jobs import BackfillState, DataInterval, JobApp, RunState
from mainspring.testing import VirtualClock


class Recorder:
    """An hourly job that notes its intervals, fails on some and can be held."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.app: JobApp = make_app(path)
        self.made = current_clock().now()
        self.seen: list[datetime] = []
        self.failing: set[datetime] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = self.most = 0
        self.app.job("hourly", cron="0 * * * *", **options)(self._handle)

    async def _handle(self, data_interval: DataInterval) -> None:
        if data_interval.end > self.made:
            return  # an hour of today that ended during the test, and is not the backfill's
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            self.seen.append(data_interval.start)
            if data_interval.start in self.failing:
                raise OSError("broken hour")
        finally:
            self.running -= 1


def hours(count: int) -> list[datetime]:
    return [START + timedelta(hours=hour) for hour in range(count)]


async def test_every_interval_runs_once_and_never_more_than_max_parallel(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    async with running(job.app) as app:
        backfill = await app.backfill("hourly", START, at(300), max_parallel=3)
        outcome = await backfill.wait()
        assert await app.watermark("hourly") == at(300)
        assert await app.gaps("hourly") == []
    assert hours(300) == sorted(job.seen)
    assert job.most <= 3
    assert (outcome.state, outcome.succeeded, outcome.ended, outcome.total) == (BackfillState.FINISHED, 300, 300, 300)
    assert "hourly" in repr(backfill)


@pytest.mark.parametrize(("own", "of_backfill"), [(50, -10), (0, -10), (-5, -15)])
async def test_a_backfill_goes_before_no_live_work(tmp_path: Path, own: int, of_backfill: int) -> None:
    """However urgent its job is, other jobs' live runs of no special priority are not behind its past."""
    app = make_app(tmp_path)

    @app.job("hourly", cron="0 * * * *", priority=own)
    async def hourly() -> None: ...

    async with running(app):
        await (await app.backfill("hourly", START, at(2))).wait()
        assert [of_backfill] * 2 == [run.priority for run in await app.runs("hourly")]


async def test_newest_first_when_asked(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    async with running(job.app) as app:
        await (await app.backfill("hourly", START, at(5), order="desc", max_parallel=1)).wait()
    assert hours(5)[::-1] == job.seen


async def test_missing_failed_and_all_choose_what_runs_again(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    job.failing = {at(2)}
    async with running(job.app) as app:
        first = await (await app.backfill("hourly", START, at(5))).wait()
        assert (first.succeeded, first.failed) == (4, 1)
        assert await app.gaps("hourly") == [(at(2), at(3))]
        assert await app.watermark("hourly") == at(2)
        job.failing, job.seen = set(), []
        await (await app.backfill("hourly", START, at(5), reprocess="failed")).wait()
        assert job.seen == [at(2)]
        job.seen = []
        again = await (await app.backfill("hourly", START, at(5))).wait()
        assert (job.seen, again.total) == ([], 0)
        await (await app.backfill("hourly", START, at(5), reprocess="all")).wait()
        assert hours(5) == sorted(job.seen)
        generations = sorted(run.generation for run in await app.runs("hourly", states=[RunState.SUCCEEDED]))
    assert generations == [1, 1, 1, 1, 2, 2, 2, 2, 2, 3]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(("reprocess", "wanted"), [("missing", [0, 1, 2]), ("failed", [1])])
async def test_an_interval_that_is_done_in_part_is_run_whole(
    tmp_path: Path, order: Literal["asc", "desc"], reprocess: Literal["missing", "failed"], wanted: list[int]
) -> None:
    """The edges of the done-set are those of an older schedule: hours, where the job now has days."""
    hourly = Recorder(tmp_path)
    hourly.failing = {at(30)}
    async with running(hourly.app) as app:
        for start, end in ((1, 23), (24, 50)):
            await (await app.backfill("hourly", at(start), at(end))).wait()
    app = make_app(tmp_path)
    days: list[datetime] = []

    @app.job("hourly", cron="0 0 * * *")
    async def daily(data_interval: DataInterval) -> None:
        days.append(data_interval.start)

    async with running(app):
        options: dict[str, Any] = {"order": order, "reprocess": reprocess, "max_parallel": 1}
        outcome = await (await app.backfill("hourly", at(0), at(96), **options)).wait()
        assert outcome.succeeded == outcome.ended
        if reprocess == "missing":
            assert await app.gaps("hourly") == []
            wanted = [*wanted, 3]
    assert [at(24 * day) for day in wanted] == (days if order == "asc" else days[::-1])


async def test_the_first_failure_stops_it_when_asked(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    job.failing = {at(1)}
    async with running(job.app) as app:
        outcome = await (await app.backfill("hourly", START, at(200), on_failure="stop", max_parallel=1)).wait()
    assert outcome.state is BackfillState.STOPPED
    assert outcome.eta == 0.0, "though most of its intervals never ran"
    assert job.seen[:2] == hours(2)
    assert len(job.seen) < 200


async def test_pause_resume_and_cancel(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    job.gate.clear()
    async with running(job.app) as app:
        backfill = await app.backfill("hourly", START, at(100), max_parallel=2)
        await eventually(lambda: _is(job, 2))
        await backfill.pause()
        assert (await backfill.progress()).state is BackfillState.PAUSED
        await backfill.resume()
        assert (await backfill.progress()).state is BackfillState.RUNNING
        await backfill.cancel()
        job.gate.set()
        outcome = await (await app.backfill_by_id(backfill.backfill_id)).wait()
    assert outcome.state is BackfillState.CANCELLED
    assert len(job.seen) <= 2


async def _is(job: Recorder, count: int) -> bool:
    return job.running == count


def test_a_paused_backfill_goes_on_where_it_was_when_it_is_resumed() -> None:
    app = JobApp("day", store="memory", poll_interval=60.0)
    began: list[datetime] = []

    @app.job("days", cron="0 0 * * *")
    async def days(data_interval: DataInterval) -> None:
        began.append(data_interval.start)
        await asyncio.sleep(10)

    async def main() -> None:
        async with running(app):
            backfill = await app.backfill("days", START - timedelta(days=20), START, max_parallel=2)
            await asyncio.sleep(25)
            await backfill.pause()
            await asyncio.sleep(3600)
            assert 6 == len(began)
            await backfill.resume()
            assert 20 == (await backfill.wait()).succeeded

    with VirtualClock(START + timedelta(hours=1)) as clock:
        clock.run(main())
    assert 20 == len(set(began)) == len(began)


async def test_another_app_goes_on_where_one_stopped(tmp_path: Path) -> None:
    first = Recorder(tmp_path)
    async with running(first.app) as app:
        backfill = await app.backfill("hourly", START, at(200), max_parallel=1, config={"a": 1})
        await eventually(lambda: _seen(first, 20))
    second = Recorder(tmp_path)
    async with running(second.app) as app:
        outcome = await (await app.backfill_by_id(backfill.backfill_id)).wait()
    assert outcome.state is BackfillState.FINISHED
    assert hours(200) == sorted(first.seen + second.seen)


async def _seen(job: Recorder, count: int) -> bool:
    return len(job.seen) >= count


async def test_a_backfill_over_another_one_waits_for_the_runs_they_share(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    job.gate.clear()
    async with running(job.app) as app:
        first = await app.backfill("hourly", START, at(5))
        await eventually(lambda: _is(job, 5))
        second = await app.backfill("hourly", START, at(7), max_parallel=1)

        async def joined() -> bool:
            return (await second.progress()).running == 7

        await eventually(joined)
        assert not (await second.progress()).done
        job.gate.set()
        outcomes = await asyncio.gather(first.wait(), second.wait())
    assert [(5, True), (7, True)] == [(one.succeeded, one.done) for one in outcomes]
    assert hours(7) == sorted(job.seen)


async def test_a_run_waits_until_what_it_needs_covers_its_interval(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    days: list[int] = []

    @job.app.job("daily", cron="0 0 * * *", needs=("hourly",))
    async def daily(data_interval: DataInterval) -> None:
        days.append(sum(data_interval.start <= start < data_interval.end for start in job.seen))

    async with running(job.app) as app:
        whole = await app.backfill("daily", START, at(72))

        async def blocked() -> bool:
            runs = await app.runs("daily", states=[RunState.WAITING])
            return len(runs) == 3 and all(run.blocked_by for run in runs)

        await eventually(blocked)
        (run, *_) = await app.runs("daily", states=[RunState.WAITING])
        assert run.blocked_by == "blocked by hourly 2013-01-03T00:00Z"
        await (await app.backfill("hourly", START, at(72))).wait()
        outcome = await whole.wait()
    assert outcome.succeeded == 3
    assert days == [24, 24, 24]


async def test_runs_wait_no_longer_for_needs_that_the_code_dropped(tmp_path: Path) -> None:
    def app_with(needs: tuple[str, ...]) -> JobApp:
        app = make_app(tmp_path)
        app.job("first", cron="0 * * * *")(_nothing)
        app.job("second", cron="0 * * * *", needs=needs)(_nothing)
        return app

    async with running(app_with(("first",))) as app:
        backfill = await app.backfill("second", START, at(2))

        async def waiting() -> bool:
            return len(await app.runs("second", states=[RunState.WAITING])) == 2

        await eventually(waiting)
    async with running(app_with(())) as app:
        outcome = await (await app.backfill_by_id(backfill.backfill_id)).wait()
    assert outcome.succeeded == 2


async def _nothing() -> None: ...


async def test_those_who_wait_for_a_backfill_are_told_when_the_app_closes(tmp_path: Path) -> None:
    job = Recorder(tmp_path)
    async with running(job.app) as app:
        await (await app.backfill("hourly", START, at(1))).wait()
        backfill = await app.backfill("hourly", START, at(5))
        await backfill.pause()
        waiting = asyncio.create_task(backfill.wait())
        await eventually(lambda: _waits(app))
    with pytest.raises(ClosedError):
        await waiting


async def _waits(app: JobApp) -> bool:
    changed = (await app.open()).planner._changed
    return changed is not None and not changed.done()


@pytest.mark.parametrize("config", [None, {"symbol": "A"}])
async def test_the_config_of_a_backfill_reaches_its_runs(tmp_path: Path, config: dict[str, object] | None) -> None:
    app = make_app(tmp_path)
    seen: list[object] = []

    @app.job("hourly", every=3600, config={"symbol": "none"})
    async def hourly(config: dict[str, object]) -> None:
        seen.append(config["symbol"])

    async with running(app):
        backfill = await app.backfill("hourly", START, at(2), config=config)
        progress = await backfill.progress()
        assert (progress.total, progress.exact) == (2, True)
        await backfill.wait()
    assert seen == ["none" if config is None else "A"] * 2


@pytest.mark.parametrize(("reprocess", "would_run"), [("missing", 2991), ("failed", 1), ("all", 3000)])
async def test_a_dry_run_counts_what_would_run_and_stores_nothing(
    tmp_path: Path, reprocess: Literal["missing", "failed", "all"], would_run: int
) -> None:
    job = Recorder(tmp_path)
    job.failing = {at(4)}
    async with running(job.app) as app:
        await (await app.backfill("hourly", START, at(10))).wait()
        job.seen.clear()
        dry = await app.backfill("hourly", START, at(3000), reprocess=reprocess, dry_run=True)
        outcome = await dry.wait()
        assert (outcome.total, outcome.exact, outcome.running, outcome.done) == (would_run, True, 0, True)
        assert len(await app.store.backfills()) == 1
        with pytest.raises(UnknownBackfillError):
            await dry.cancel()
    assert job.seen == []


def test_what_has_not_ended_is_left_to_the_schedule() -> None:
    """A backfill of the whole day, at half past five, runs five hours; the others run when their data is there."""
    app = JobApp("day", store="memory", poll_interval=60.0)
    seen: list[tuple[int, float]] = []

    @app.job("hourly", cron="0 * * * *")
    async def hourly(data_interval: DataInterval) -> None:
        seen.append((data_interval.start.hour, (clock.now() - data_interval.end).total_seconds()))

    async def main() -> None:
        await app.start()
        counted = await app.backfill("hourly", START, START + timedelta(days=1), dry_run=True)
        whole = await app.backfill("hourly", START, START + timedelta(days=1))
        assert ((await counted.progress()).total, (await whole.wait()).succeeded) == (5, 5)
        with pytest.raises(InvalidArgumentError, match="expected an instant in the past; what is not due yet"):
            await app.backfill("hourly", START + timedelta(days=1), START + timedelta(days=2))
        await asyncio.sleep(5400)
        await app.stop()

    with VirtualClock(START + timedelta(hours=5, minutes=30)) as clock:
        clock.run(main())
    assert sorted(hour for hour, _ in seen) == [0, 1, 2, 3, 4, 5, 6]
    assert min(late for _, late in seen) >= 0


def test_what_is_not_due_yet_is_left_to_the_schedule() -> None:
    """A new job with a delay of 90 minutes, at 05:10: the hours to 03:00 are due, later ones wait for their data."""
    app = JobApp("day", store="memory")
    seen: list[tuple[datetime, timedelta]] = []

    @app.job("hourly", cron="0 * * * *", delay=5400)
    async def hourly(data_interval: DataInterval) -> None:
        seen.append((data_interval.start, clock.now() - data_interval.end))

    async def main() -> None:
        with pytest.raises(InvalidArgumentError, match="longer ago than the delay of 5400 s; what is not due yet"):
            await app.backfill("hourly", at(4), at(5))
        assert (await (await app.backfill("hourly", at(0), at(5))).wait()).succeeded == 3
        await app.start()
        await asyncio.sleep(3600)
        await app.stop()

    with VirtualClock(at(5) + timedelta(minutes=10)) as clock:
        clock.run(main())
    assert [at(hour) for hour in range(4)] == [start for start, _ in seen]
    assert min(late for _, late in seen) >= timedelta(minutes=90)
