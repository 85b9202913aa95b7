"""A backfill of all runs longer intervals as they were written, where its sink takes them only whole."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs
from tests.unit.jobs.engine.support_engine import START, running

from mainspring.base import to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import DataInterval, JobApp
from mainspring.jobs.engine import _written
from mainspring.jobs.engine._calls import new_call
from mainspring.jobs.engine._written import as_written
from mainspring.jobs.model import Every
from mainspring.jobs.stores import Enqueue
from mainspring.sinks import SqlTable
from mainspring.testing import VirtualClock


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    return "memory" if request.param == "memory" else tmp_path / "state.db"


Test = Callable[[JobApp], Awaitable[None]]


class Merged:
    """A job of each minute whose first run covers six; then there is one for each of the next three."""

    def __init__(self, store: str | Path, tmp_path: Path, *, replaces: bool = True) -> None:
        self.seen: list[tuple[datetime, datetime]] = []
        self.app = JobApp("t", store=store, durability="process", poll_interval=1.0)
        database = tmp_path / "rows.db"
        table = SqlTable("rows", replace="interval" if replaces else None, database=database)

        @self.app.job("tick", cron="* * * * *", start_at=START, missed="merge", sink=table)
        async def tick(data_interval: DataInterval) -> AsyncGenerator[dict[str, int]]:
            self.seen.append((data_interval.start, data_interval.end))
            yield {"minute": data_interval.start.minute}

    def run(self, test: Test) -> None:
        async def main() -> None:
            async with running(self.app) as app:
                await asyncio.sleep(3 * 60)
                assert [(0, 6), (6, 7), (7, 8), (8, 9)] == list(self.minutes())
                self.seen.clear()
                await test(app)

        with VirtualClock(at(6.5)) as clock:
            clock.run(main())

    def minutes(self) -> Iterator[tuple[int, int]]:
        return ((start.minute, end.minute) for start, end in self.seen)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_merged_interval_is_run_as_one(
    store: str | Path, tmp_path: Path, order: Literal["asc", "desc"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_written, "_PAGE", 2)  # so that the history takes several
    merged = Merged(store, tmp_path)

    async def test(app: JobApp) -> None:
        dry = await app.backfill("tick", START, at(8), reprocess="all", order=order, dry_run=True)
        assert 3 == (await dry.progress()).total
        for _ in range(2):
            backfill = await app.backfill("tick", START, at(8), reprocess="all", order=order, max_parallel=1)
            outcome = await backfill.wait()
            assert (3, 0, 3) == (outcome.succeeded, outcome.failed, outcome.total)
        assert [3, 3] == sorted(run.generation for run in await app.runs("tick", limit=2))

    merged.run(test)
    ran = [(0, 6), (6, 7), (7, 8)]
    assert (ran if order == "asc" else ran[::-1]) * 2 == list(merged.minutes())


def test_a_part_of_a_merged_interval_is_refused_before_anything_runs(store: str | Path, tmp_path: Path) -> None:
    merged = Merged(store, tmp_path)
    hint = "begin the backfill at 2013-01-01T00:00:00+00:00 and end it at 2013-01-01T00:0{}:00+00:00"

    async def test(app: JobApp) -> None:
        said = r"inside of 2013-01-01T00:00:00\+00:00 to 2013-01-01T00:06:00\+00:00, which one run has written"
        for argument, start, end, last in (("start", 2, 8, 8), ("end", 0, 3, 6)):
            with pytest.raises(InvalidArgumentError, match=f"{argument}=.* {said}") as caught:
                await app.backfill("tick", at(start), at(end), reprocess="all")
            assert hint.format(last) == caught.value.hint
        assert [] == list(await app.store.backfills())
        assert 0 == (await (await app.backfill("tick", at(2), at(8))).wait()).succeeded
        assert 2 == (await (await app.backfill("tick", at(6), at(8), reprocess="all")).wait()).succeeded

    merged.run(test)


def test_what_goes_to_no_such_sink_is_run_by_the_schedule(store: str | Path, tmp_path: Path) -> None:
    merged = Merged(store, tmp_path, replaces=False)

    async def test(app: JobApp) -> None:
        assert 2 == (await (await app.backfill("tick", at(2), at(4), reprocess="all")).wait()).succeeded

    merged.run(test)
    assert [(2, 3), (3, 4)] == sorted(merged.minutes())


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("wanted", [range(10), (0, 3, 8), (2, 4, 5, 9)])
def test_longer_intervals_stand_in_place_of_what_lies_in_them(
    wanted: Sequence[int], order: Literal["asc", "desc"]
) -> None:
    minutes = [one for one in Every(60.0).intervals(START, at(10)) if one.start.minute in wanted]
    written = [(2, 4), (4, 6), (8, 9)]
    walked = minutes if order == "asc" else minutes[::-1]
    longer = [(to_us(at(start)), to_us(at(end))) for start, end in written]
    found = [(one.start.minute, one.end.minute) for one in as_written(iter(walked), longer, order)]
    spans = {minute: (minute, minute + 1) for minute in range(10)}
    spans |= {minute: (low, high) for low, high in written for minute in range(low, high)}
    expected = sorted({spans[minute] for minute in wanted})
    assert (expected if order == "asc" else expected[::-1]) == found


def test_an_interval_inside_of_a_longer_one_is_not_told(store: str | Path, tmp_path: Path) -> None:
    """Hours may have run each on its own before all of them ran as one, whose rows then stand."""
    merged = Merged(store, tmp_path)

    async def test(app: JobApp) -> None:
        earlier = DataInterval(at(6), at(8)), DataInterval(at(6), at(9))
        for interval in earlier:
            run = new_call(app.jobs["tick"], None, None, key=None, now=app.store.now())
            ends = {"interval_start": to_us(interval.start), "interval_end": to_us(interval.end)}
            answer = await app.store.enqueue(Enqueue(run=structs.replace(run, **ends)))
            await app.wait_for_run(answer.run_id)
        merged.seen.clear()
        await (await app.backfill("tick", START, at(9), reprocess="all", max_parallel=1)).wait()

    merged.run(test)
    assert [(0, 6), (6, 9)] == list(merged.minutes())
