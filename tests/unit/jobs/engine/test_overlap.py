"""What happens at the limit of scheduled runs: they wait, are skipped with a word, or there is none."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.unit.jobs.engine.support_engine import START, eventually, make_app, ran_by, running

from mainspring.base import current_clock
from mainspring.jobs import JobApp, RunRecord, RunState
from mainspring.testing import VirtualClock

Overlap = Literal["queue", "skip", "allow"]


class Slow:
    """Jobs that fire every ten seconds and take as long as they are told."""

    def __init__(self) -> None:
        self.app = JobApp("t", store="memory")
        self.began: list[tuple[str, float]] = []
        self.now = self.most = 0

    def add(self, job_id: str, seconds: float, **options: Any) -> None:
        options.setdefault("every", 10)

        async def handle() -> None:
            self.began.append((job_id, asyncio.get_running_loop().time()))
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.now -= 1

        self.app.job(job_id, **options)(handle)

    def live(self, seconds: float) -> list[RunRecord]:
        """Run for some virtual seconds and return all records, oldest first."""

        async def main() -> list[RunRecord]:
            async with running(self.app) as app:
                await asyncio.sleep(seconds)
                return list(await app.runs(limit=1000))[::-1]

        with VirtualClock(START + timedelta(seconds=1)) as clock:
            return clock.run(main())


@pytest.mark.parametrize(("overlap", "began", "most"), [("queue", 4, 1), ("skip", 4, 1), ("allow", 10, 3)])
def test_a_run_that_is_slower_than_its_schedule(overlap: Overlap, began: int, most: int) -> None:
    slow = Slow()
    slow.add("slow", 25, overlap=overlap)
    records = slow.live(105)
    assert (len(slow.began), slow.most) == (began, most)
    skipped = [record for record in records if record.state is RunState.SKIPPED]
    waiting = [record for record in records if record.state is RunState.AVAILABLE]
    assert (len(skipped), len(waiting)) == {"queue": (0, 6), "skip": (6, 0), "allow": (0, 0)}[overlap]
    if overlap == "skip":
        assert {record.error_message for record in skipped} == {"skipped: the only slot of job:slow was taken"}


def test_skipped_intervals_are_in_the_done_set() -> None:
    slow = Slow()
    slow.add("slow", 15, overlap="skip")

    async def main() -> None:
        async with running(slow.app) as app:
            await asyncio.sleep(95)
            assert await app.watermark("slow") == START + timedelta(seconds=80)
            gaps = await app.gaps("slow")
            assert [(end - start).total_seconds() for start, end in gaps] == [10.0] * 4
            await (await app.backfill("slow", START, START + timedelta(seconds=80))).wait()
            assert all(start >= START + timedelta(seconds=80) for start, _ in await app.gaps("slow"))

    with VirtualClock(START + timedelta(seconds=1)) as clock:
        clock.run(main())


def test_a_retry_is_never_skipped() -> None:
    """It has begun already: it waits for the run that came between."""
    app = JobApp("t", store="memory")
    tried: list[int] = []

    @app.job("flaky", every=10, overlap="skip", retry=1)
    async def flaky(ctx: Any) -> None:
        tried.append(ctx.attempt)
        await asyncio.sleep(9.9)
        raise OSError("broken")

    async def main() -> list[RunRecord]:
        async with running(app):
            await asyncio.sleep(100)
            return list(await app.runs(limit=1000))

    with VirtualClock(START + timedelta(seconds=1)) as clock:
        records = clock.run(main())
    assert sum(record.state is RunState.SKIPPED for record in records) > 0
    assert all(record.attempt == 0 for record in records if record.state is RunState.SKIPPED)
    assert {record.attempt for record in records if record.state is RunState.FAILED} == {2}


def test_jobs_share_a_limit_by_its_key() -> None:
    slow = Slow()
    slow.add("one", 8, concurrency_key="api")
    slow.add("two", 8, concurrency_key="api")
    slow.add("free", 0)
    slow.live(60)
    assert slow.most == 2  # one of the two, and the free one
    assert {job for job, _ in slow.began} == {"one", "two", "free"}


def test_calls_and_backfills_are_not_counted() -> None:
    slow = Slow()
    slow.add("slow", 5)

    async def main() -> None:
        async with running(slow.app) as app:
            backfill = await app.backfill("slow", START - timedelta(seconds=60), START, max_parallel=3)
            await asyncio.gather(backfill.wait(), *(app.run_job("slow") for _ in range(4)))
            assert slow.most >= 7

    with VirtualClock(START + timedelta(seconds=1)) as clock:
        clock.run(main())


@pytest.mark.parametrize("overlap", ["queue", "skip"])
def test_retries_of_scheduled_runs_are_counted_and_not_skipped(overlap: Overlap) -> None:
    slow = Slow()
    slow.add("slow", 5, overlap=overlap)

    async def main() -> None:
        async with running(slow.app) as app:
            await asyncio.sleep(38)
            ended = await app.runs("slow", states=[RunState.SUCCEEDED])
            assert ended
            again = [await app.retry(record.run_id) for record in ended]
            for record in again:
                assert RunState.SUCCEEDED is (await app.wait_for_run(record.run_id)).state
            assert 1 == slow.most
            again = [await app.retry(record.run_id) for record in again]  # a generation more
            await asyncio.gather(*(app.wait_for_run(record.run_id) for record in again))
            assert 1 == slow.most

    with VirtualClock(START + timedelta(seconds=1)) as clock:
        clock.run(main())


def test_retries_of_runs_at_an_instant_are_counted() -> None:
    slow = Slow()
    for name in ("one", "two"):
        slow.add(name, 5, concurrency_key="both", every=None, at=START + timedelta(seconds=2))

    async def main() -> None:
        async with running(slow.app) as app:
            await asyncio.sleep(20)
            ended = [record for name in ("one", "two") for record in await app.runs(name)]
            again = [await app.retry(record.run_id) for record in ended]
            await asyncio.gather(*(app.wait_for_run(record.run_id) for record in again))
            assert (4, 1) == (len(slow.began), slow.most)

    with VirtualClock(START + timedelta(seconds=1)) as clock:
        clock.run(main())


def test_retries_of_calls_are_not_counted() -> None:
    slow = Slow()
    slow.add("slow", 5)

    async def main() -> None:
        async with running(slow.app) as app:
            ended = [await app.run_job("slow") for _ in range(3)]
            again = [await app.retry(result.run_id) for result in ended]
            await asyncio.gather(*(app.wait_for_run(record.run_id) for record in again))
            assert slow.most >= 3

    with VirtualClock(START + timedelta(seconds=1)) as clock:
        clock.run(main())


def test_a_higher_priority_goes_first_and_a_grace_is_the_jobs_own(caplog: pytest.LogCaptureFixture) -> None:
    app = JobApp("t", store="memory", slots=1, cancel_grace=1000.0)
    order: list[str] = []

    @app.job("stubborn", cancel_grace=2.0)
    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(30)

    for job_id, priority in (("low", -1), ("middle", 0), ("high", 5)):

        async def handle(ctx: Any) -> None:
            order.append(ctx.job_id)

        app.job(job_id, priority=priority)(handle)

    async def main() -> None:
        async with running(app):
            held = await app.run_job("stubborn", wait=False)
            await asyncio.sleep(1)
            for job_id in ("low", "middle", "high"):
                await app.run_job(job_id, wait=False)
            await app.cancel(held.run_id)
            await asyncio.sleep(5)
            assert "does not stop" in caplog.text
            await asyncio.sleep(60)

    with VirtualClock(START) as clock:
        clock.run(main())
    assert order == ["high", "middle", "low"]


@pytest.mark.parametrize(
    ("before", "after", "most"),
    [({}, {"max_instances": 3}, 3), ({"max_instances": 4}, {}, 1), ({"concurrency_key": "a"}, {"max_instances": 2}, 2)],
)
async def test_the_next_program_brings_its_limits_to_the_backlog(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], most: int
) -> None:
    """The runs that wait compete under one number with those that come, oldest first."""

    def program(**options: Any) -> JobApp:
        app = make_app(tmp_path, drain_timeout=0.0)
        start_at = current_clock().now() - timedelta(hours=9.5)
        app.job("call")(ran_by("a"))

        @app.job("slow", every=3600, start_at=start_at, missed="all", **options)
        async def slow() -> None:
            await asyncio.Event().wait()

        return app

    async with running(program(**before)) as app:
        await eventually(lambda: _has(app, *range(8, 11)))
    async with running(program(**after)) as app:
        await eventually(lambda: _has(app, most, states=[RunState.RUNNING]))
        await app.run_job("call")  # another claim
        assert await _has(app, most, states=[RunState.RUNNING])
        records = (await app.runs("slow"))[::-1]
        oldest = sorted(records, key=lambda record: record.scheduled_at or 0)[:most]
        assert {RunState.RUNNING} == {record.state for record in oldest}


async def _has(app: JobApp, *counts: int, states: Sequence[RunState] = ()) -> bool:
    return len(await app.runs("slow", states=states)) in counts
