"""`missed="merge"`: whatever passed unseen becomes one run over all of it, on every store."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any  # Any: options of a job

import pytest
from tests.unit.jobs.engine.support_engine import START, running

from mainspring.jobs import DataInterval, JobApp, RunRecord, RunState
from mainspring.jobs.engine import _scheduler
from mainspring.testing import VirtualClock

pytestmark = pytest.mark.timeout(300)  # many transactions, each of which waits for the disk


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class Merging:
    """A job of each minute on a store that outlives its program, and what its runs were given."""

    def __init__(self, path: Path, kind: str, *, with_after: bool = False, **options: Any) -> None:
        self._with_after = with_after
        self._store = "memory" if kind == "memory" else path / "state.db"
        self._options: dict[str, Any] = {"cron": "* * * * *", "missed": "merge", "start_at": START, **options}
        self.seen: list[DataInterval] = []
        self.fails = False
        self.app = self._make()

    def _make(self) -> JobApp:
        app = JobApp("t", store=self._store, durability="process", poll_interval=1.0)

        @app.job("tick", **self._options)
        async def tick(data_interval: DataInterval) -> None:
            if self.fails:
                raise OSError("not today")
            self.seen.append(data_interval)

        if self._with_after:

            @app.job("after", cron="* * * * *", start_at=START, missed="merge", needs=("tick",))
            async def after(data_interval: DataInterval) -> None:
                assert (at(0), at(6)) == (data_interval.start, data_interval.end)

        return app

    def live(
        self, when: datetime, minutes: float = 0.1, *, end: Callable[[JobApp], Awaitable[object]] | None = None
    ) -> list[RunRecord]:
        """Be there from `when` on, in a program of its own; return the records of the job, oldest first."""
        if self._store != "memory":
            self.app = self._make()

        async def main() -> list[RunRecord]:
            async with running(self.app) as app:
                await asyncio.sleep(minutes * 60)
                if end is not None:
                    await end(app)
                return list(await app.runs("tick", limit=1000))[::-1]

        with VirtualClock(when) as clock:
            return clock.run(main())


@pytest.fixture(params=["sqlite", "memory"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def spans(intervals: list[DataInterval]) -> list[tuple[datetime, datetime]]:
    return [(one.start, one.end) for one in intervals]


def test_each_absence_is_one_run_and_nothing_is_skipped_or_doubled(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind)
    merging.live(at(10.5), minutes=2)
    records = merging.live(at(200.5), minutes=1)
    assert [(at(0), at(10)), (at(10), at(11)), (at(11), at(12)), (at(12), at(200)), (at(200), at(201))] == spans(
        merging.seen
    )
    assert {RunState.SUCCEEDED} == {one.state for one in records}
    assert all(one.interval_end == two.interval_start for one, two in pairwise(records))

    async def look(app: JobApp) -> None:
        assert at(201) == await app.watermark("tick")
        assert [] == await app.gaps("tick")

    merging.live(at(201.5), end=look)
    assert 5 == len(merging.seen)


def test_a_program_that_is_always_there_has_nothing_to_merge(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind)
    merging.live(at(0), minutes=3.5)
    assert [(at(n), at(n + 1)) for n in range(3)] == spans(merging.seen)


def test_a_merged_run_that_failed_is_one_gap_that_a_backfill_fills_minute_by_minute(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind)
    merging.fails = True
    (failed,) = merging.live(at(6.5))
    assert failed.state is RunState.FAILED

    async def fill(app: JobApp) -> None:
        assert [(at(0), at(6))] == await app.gaps("tick")
        merging.fails = False
        await (await app.backfill("tick", START, at(6), reprocess="failed", max_parallel=1)).wait()
        assert [] == await app.gaps("tick")
        assert at(6) == await app.watermark("tick")

    merging.live(at(6.6), end=fill)
    assert [(at(n), at(n + 1)) for n in range(6)] == spans(merging.seen)


def test_a_merged_run_that_failed_is_retried_as_a_whole(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind)
    merging.fails = True
    (failed,) = merging.live(at(6.5))

    async def again(app: JobApp) -> None:
        merging.fails = False
        await app.retry(failed.run_id)
        await asyncio.sleep(10)

    merging.live(at(6.6), end=again)
    assert [(at(0), at(6))] == spans(merging.seen)


def test_beyond_the_lookback_is_skipped_and_the_rest_is_one_run(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind, max_lookback=4 * 60)
    records = merging.live(at(100.5))
    assert [(at(96), at(100))] == spans(merging.seen)
    (skipped,) = [one for one in records if one.state is RunState.SKIPPED]
    assert (int(at(0).timestamp() * 1e6), int(at(96).timestamp() * 1e6)) == (
        skipped.interval_start,
        skipped.interval_end,
    )


def test_what_passed_in_a_pause_is_one_run(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind)

    async def pause(app: JobApp) -> None:
        await app.pause("tick")
        await asyncio.sleep(4 * 60)
        await app.resume("tick")
        await asyncio.sleep(10)

    merging.live(at(1.5), minutes=1, end=pause)
    assert [(at(0), at(1)), (at(1), at(2)), (at(2), at(6))] == spans(merging.seen)


def test_what_a_backfill_did_in_a_pause_is_not_merged_over(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scheduler, "_PER_JOB", 2)
    merging = Merging(tmp_path, kind)

    async def pause(app: JobApp) -> None:
        await app.pause("tick")
        await asyncio.sleep(9 * 60)
        for minute in (3, 5, 6, 8):
            await (await app.backfill("tick", at(minute), at(minute + 1))).wait()
        merging.seen.clear()
        await app.resume("tick")
        await asyncio.sleep(10)

    merging.live(at(1.5), minutes=1, end=pause)
    assert [(at(2), at(3)), (at(4), at(5)), (at(7), at(8)), (at(9), at(11))] == sorted(spans(merging.seen))


def test_a_gap_that_was_backfilled_as_a_whole_makes_no_run(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind)

    async def pause(app: JobApp) -> None:
        await app.pause("tick")
        await asyncio.sleep(4 * 60)
        await (await app.backfill("tick", at(2), at(6))).wait()
        merging.seen.clear()
        await app.resume("tick")
        await asyncio.sleep(60)

    merging.live(at(1.5), minutes=1, end=pause)
    assert [(at(6), at(7))] == spans(merging.seen)


def test_a_job_that_needs_it_waits_for_the_whole_merged_interval(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind, with_after=True)
    merging.fails = True

    async def look(app: JobApp) -> None:
        (waiting,) = await app.runs("after")
        assert waiting.state is RunState.WAITING
        merging.fails = False
        await (await app.backfill("tick", START, at(3), reprocess="failed")).wait()
        assert (await app.runs("after"))[0].state is RunState.WAITING
        await (await app.backfill("tick", at(3), at(6), reprocess="failed")).wait()
        await asyncio.sleep(10)
        (record,) = await app.runs("after")
        assert record.state is RunState.SUCCEEDED

    merging.live(at(6.5), end=look)


def test_a_year_of_days_with_their_clock_changes_is_one_run_in_the_zone_of_the_job(tmp_path: Path, kind: str) -> None:
    merging = Merging(tmp_path, kind, cron="0 0 * * *", timezone="America/New_York", start_at=START)
    merging.live(datetime(2014, 1, 1, 12, tzinfo=UTC))
    (interval,) = merging.seen
    assert (date(2013, 1, 1), date(2014, 1, 1)) == (interval.start.date(), interval.end.date())
    assert (5, 5) == (interval.start.astimezone(UTC).hour, interval.end.astimezone(UTC).hour)
