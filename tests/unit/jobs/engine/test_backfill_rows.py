"""Reprocessing goes down the needs: exactly what needs the intervals that ran, after them, and across restarts."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running

from mainspring.errors import InvalidArgumentError
from mainspring.jobs import BackfillState, DataInterval, JobApp, Need, RunState


class Family:
    """Hours, the days that need them, and what needs the days; notes who ran in which order."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.app: JobApp = make_app(path, drain_timeout=0.1)
        self.gate = asyncio.Event()
        self.gate.set()
        self.gates: dict[str, asyncio.Event] = {}
        self.slow: set[datetime] = set()
        self.slow_gate = asyncio.Event()
        self.ran: list[tuple[str, datetime]] = []
        self.failing: set[datetime] = set()
        self._add("hours", cron="0 * * * *", start_at=START if options.get("start_at") else None)
        self._add("days", cron="0 0 * * *", needs=["hours"], **options)
        self._add("tomorrow", cron="0 0 * * *", needs=[Need("days", offset=-86_400.0)])
        self._add("both", cron="0 0 * * *", needs=["hours", "days"])
        self._add("alone", cron="0 0 * * *")

    def _add(self, job_id: str, **options: Any) -> None:
        async def handle(data_interval: DataInterval) -> None:
            await self.gate.wait()
            await self.gates.get(job_id, self.gate).wait()
            if job_id == "hours" and data_interval.start in self.slow:
                await self.slow_gate.wait()
            self.ran.append((job_id, data_interval.start))
            if job_id == "hours" and data_interval.start in self.failing:
                raise OSError("broken hour")

        self.app.job(job_id, **options)(handle)

    def of(self, job_id: str) -> list[datetime]:
        return sorted(start for job, start in self.ran if job == job_id)


async def fill(app: JobApp, days: int) -> None:
    for job_id in ("hours", "days", "both"):
        await (await app.backfill(job_id, START, START + timedelta(days=days))).wait()


async def test_what_needs_the_intervals_runs_again_after_them(tmp_path: Path) -> None:
    family = Family(tmp_path)
    async with running(family.app) as app:
        await fill(app, 5)
        family.ran.clear()
        first = await app.backfill("hours", at(24 + 5), at(24 + 7), reprocess="all", downstream=True)
        later = await first.downstream()
        assert ["both", "days", "tomorrow"] == sorted(one.job_id for one in later)
        for one in (first, *later):
            assert (await one.wait()).state is BackfillState.FINISHED
    assert family.of("hours") == [at(29), at(30)]
    assert family.of("days") == [at(24)]
    assert family.of("both") == [at(24)]
    assert family.of("tomorrow") == [at(48)]
    assert family.of("alone") == []
    order = [job for job, _ in family.ran]
    assert order.index("days") > 1
    assert order.index("both") > order.index("days") < order.index("tomorrow")


async def test_only_what_ran_is_run_again_downstream(tmp_path: Path) -> None:
    """Nothing was missing but one hour: of ten days one is summed up again."""
    family = Family(tmp_path)
    family.failing = {at(24 * 3 + 2)}
    async with running(family.app) as app:
        await (await app.backfill("hours", START, at(240))).wait()
        family.failing.clear()
        family.ran.clear()
        first = await app.backfill("hours", START, at(240), downstream=True, order="desc")
        for one in (first, *await first.downstream()):
            outcome = await one.wait()
            assert (outcome.total, outcome.exact, outcome.succeeded) == (1, True, 1)
    assert family.of("days") == [at(72)]
    assert family.of("tomorrow") == [at(96)]


async def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    family = Family(tmp_path)
    family.gate.clear()
    async with running(family.app) as app:
        first = await app.backfill("hours", START, at(30), downstream=True)
        await first.pause()
    again = Family(tmp_path)
    async with running(again.app) as app:
        first = await app.backfill_by_id(first.backfill_id)
        assert (await first.progress()).state is BackfillState.PAUSED
        assert again.of("days") == []
        await first.resume()
        days = next(one for one in await first.downstream() if one.job_id == "days")
        waiting = asyncio.create_task(days.wait())
        await app.backfill("hours", at(30), at(48))  # without these the second day would wait
        assert (await waiting).succeeded == 2


async def test_a_run_that_began_before_the_end_of_its_needs_is_not_taken_for_one_after_it(tmp_path: Path) -> None:
    """It has read what is replaced: the interval runs once more behind it."""
    family = Family(tmp_path)
    async with running(family.app) as app:
        await fill(app, 1)
        family.ran.clear()
        family.gate.clear()
        before = await app.backfill("days", START, at(24), reprocess="all")
        await eventually(lambda: is_running(app, "days"))
        first = await app.backfill("hours", START, at(24), reprocess="all", downstream=True)
        await eventually(lambda: is_running(app, "hours"))
        family.gates["days"] = asyncio.Event()
        family.gate.set()
        await first.wait()
        days = next(one for one in await first.downstream() if one.job_id == "days")
        assert (await days.progress()).running == 0
        family.gates["days"].set()
        for one in (before, days):
            assert (await one.wait()).succeeded == 1
    assert family.of("days") == [START, START]


async def test_what_still_runs_of_a_stopped_backfill_is_waited_for(tmp_path: Path) -> None:
    family = Family(tmp_path)
    async with running(family.app) as app:
        await fill(app, 1)
        family.ran.clear()
        family.failing = {at(1)}
        family.slow = {at(0)}
        first = await app.backfill("hours", START, at(2), reprocess="all", on_failure="stop", downstream=True)
        days = next(one for one in await first.downstream() if one.job_id == "days")

        async def stopped() -> bool:
            return (await first.progress()).state is BackfillState.STOPPED

        await eventually(stopped)
        for _ in range(2):
            await asyncio.shield(app.next_backfill_change())
        assert (await days.progress()).state is BackfillState.RUNNING
        family.slow_gate.set()
        assert (await days.wait()).succeeded == 1
    assert family.of("days") == [START]


async def is_running(app: JobApp, job_id: str) -> bool:
    return bool(await app.runs(job_id, states=[RunState.RUNNING]))


async def test_cancelling_cancels_what_comes_after(tmp_path: Path) -> None:
    family = Family(tmp_path)
    family.gate.clear()
    async with running(family.app) as app:
        first = await app.backfill("hours", START, at(30), downstream=True)
        later = await first.downstream()
        await first.cancel()
        for one in later:
            assert (await one.wait()).state is BackfillState.CANCELLED
    assert family.of("days") == []


async def test_intervals_before_the_start_of_a_job_are_left_alone(tmp_path: Path) -> None:
    family = Family(tmp_path, start_at=at(24))
    async with running(family.app) as app:
        first = await app.backfill("hours", START, at(48), downstream=True)
        for one in (first, *await first.downstream()):
            if one.job_id != "both" and one.job_id != "tomorrow":
                await one.wait()
        assert family.of("days") == [at(24)]
        nothing = await app.backfill("hours", START, at(5), downstream=True)
        assert ["both"] == [one.job_id for one in await nothing.downstream()]


async def test_intervals_that_have_not_ended_are_left_to_the_schedule(tmp_path: Path) -> None:
    family = Family(tmp_path)
    async with running(family.app) as app:
        now = datetime.fromtimestamp(app.store.now() / 1e6, START.tzinfo)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        first = await app.backfill("hours", midnight, midnight + timedelta(hours=1), downstream=True)
        for one in (first, *await first.downstream()):
            outcome = await one.wait()
            assert outcome.state is BackfillState.FINISHED
        assert family.of("days") == []


async def test_a_job_that_nothing_needs_has_nothing_downstream(tmp_path: Path) -> None:
    family = Family(tmp_path)
    async with running(family.app) as app:
        first = await app.backfill("alone", START, at(48), downstream=True)
        assert await first.downstream() == []
        assert (await first.wait()).succeeded == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_parallel", 0),
        ("max_parallel", 2.5),
        ("max_parallel", True),
        ("reprocess", "none"),
        ("order", "up"),
        ("on_failure", "ignore"),
        ("config", [1]),
    ],
)
async def test_wrong_words_are_refused(tmp_path: Path, option: str, value: object) -> None:
    family = Family(tmp_path)
    options: Any = {option: value}
    with pytest.raises(InvalidArgumentError, match=option):
        await family.app.backfill("hours", START, at(5), **options)
