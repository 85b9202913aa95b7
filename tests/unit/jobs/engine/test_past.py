"""A job that depends on its past goes on interval by interval, and stops behind one that did not succeed."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running

from mainspring.base import to_us
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import DataInterval, JobApp, RunState
from mainspring.jobs.engine import _needs
from mainspring.jobs.stores import BackfillRow, MemoryData, MemoryStore
from mainspring.testing import VirtualClock


class Chain:
    """An hourly job that depends on its past, and notes what it ran and how many ran at once."""

    def __init__(self, app: JobApp, **options: Any) -> None:
        self.app = app
        self.ran: list[datetime] = []
        self.failing: set[datetime] = set()
        self.now = self.most = 0
        app.job("chain", every=3600, depends_on_past=True, **options)(self._handle)

    async def _handle(self, data_interval: DataInterval) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        self.ran.append(data_interval.start)
        if data_interval.start in self.failing:
            raise OSError("broken hour")


def simulate(hours: float, main: Coroutine[Any, Any, None]) -> float:
    """Run on virtual time that begins some hours behind START; return the seconds that passed."""
    with VirtualClock(at(hours)) as clock:
        clock.run(main)
        return clock.monotonic()


def hours(first: int, last: int) -> list[datetime]:
    return [at(hour) for hour in range(first, last)]


def test_intervals_run_one_after_the_other_and_stop_behind_a_failure() -> None:
    chain = Chain(JobApp("t", store="memory", poll_interval=60.0), start_at=START, missed="all")
    chain.failing = {at(4)}

    async def main() -> None:
        async with running(chain.app) as app:
            await asyncio.sleep(60)
            assert chain.ran == hours(0, 5)
            waiting = await app.runs("chain", states=[RunState.WAITING])
            assert [run.blocked_by for run in waiting][-2:] == [
                "blocked by chain 2013-01-01T05:00Z",
                "blocked by chain 2013-01-01T04:00Z",
            ]
            chain.failing.clear()
            await (await app.backfill("chain", at(4), at(5), reprocess="failed")).wait()
            await asyncio.sleep(3600)
            assert chain.ran == [*hours(0, 5), *hours(4, 11)]

    simulate(10.5, main())
    assert chain.most == 1


def test_what_was_skipped_blocks_nothing() -> None:
    chain = Chain(JobApp("t", store="memory", poll_interval=60.0), start_at=START)

    async def main() -> None:
        async with running(chain.app):
            await asyncio.sleep(2 * 3600)
            assert chain.ran == hours(9, 12)

    simulate(10.5, main())


def test_a_backfill_goes_in_order_and_so_does_doing_it_again() -> None:
    """Each end lets one run go at once: 300 of them do not wait for looks that are a quarter of a second apart."""
    chain = Chain(JobApp("t", store="memory"))

    async def main() -> None:
        async with running(chain.app) as app:
            await (await app.backfill("chain", START, at(300))).wait()
            assert chain.ran == hours(0, 300)
            await (await app.backfill("chain", at(100), at(200), reprocess="all")).wait()
            assert chain.ran == [*hours(0, 300), *hours(100, 200)]

    assert simulate(300, main()) < 30
    assert chain.most == 1


def test_a_chain_began_where_it_began_whatever_its_options_are_now() -> None:
    """By a later delay its first interval would have had another before it, which nobody ever ran."""
    data = MemoryData()
    ran: list[datetime] = []

    async def live(delay: float) -> None:
        chain = Chain(JobApp("t", store=MemoryStore(data)), missed="all", delay=delay)
        async with running(chain.app) as app:
            await asyncio.sleep(7200)
            if delay:
                await (await app.backfill("chain", at(1), at(2), reprocess="all")).wait()
            ran.extend(chain.ran)

    simulate(1.5, live(0))
    simulate(4, live(5400))
    assert [at(1), at(2), at(3), at(1)] == [start for start in ran if start < at(4)]


async def register_only(data: MemoryData, **options: Any) -> None:
    """Bring a chain into a store, without any runs, and without a word of where it began."""
    chain = Chain(JobApp("t", store=MemoryStore(data), schedule=False), **options)
    async with running(chain.app):
        data.schedules["chain"] = [replace(one, since=None) for one in data.schedules["chain"]]


@pytest.mark.parametrize("steered", [False, True])
def test_a_chain_of_an_old_file_stops_behind_a_failure_before_its_registration(steered: bool) -> None:
    """Files from before schema 6 do not say since when their versions count; those that came later do."""
    data = MemoryData()

    async def register() -> None:
        await register_only(data, start_at=START, missed="all")
        if steered:
            later = replace(data.schedules["chain"][0], version=2, since=to_us(at(9)))
            data.schedules["chain"].append(later)
            data.jobs["chain"] = structs.replace(data.jobs["chain"], version=2)

    async def live() -> None:
        chain = Chain(JobApp("t", store=MemoryStore(data)), start_at=START, missed="all")
        chain.failing = {at(2)}
        async with running(chain.app):
            await asyncio.sleep(60)
        assert hours(0, 3) == chain.ran

    simulate(10, register())
    simulate(12.5, live())


def test_a_chain_without_a_cursor_begins_where_it_gets_one() -> None:
    """Whatever was before it was registered long ago, and never ran."""
    data = MemoryData()

    async def register() -> None:
        await register_only(data)
        data.jobs["chain"] = structs.replace(data.jobs["chain"], cursor=None)

    async def live() -> None:
        chain = Chain(JobApp("t", store=MemoryStore(data)))
        async with running(chain.app):
            await asyncio.sleep(2.25 * 3600)
        assert hours(9, 11) == chain.ran

    simulate(0, register())
    simulate(9, live())


def test_a_chain_begins_anew_after_it_had_no_schedule() -> None:
    data = MemoryData()

    async def register() -> None:
        await register_only(data)
        first = replace(data.schedules["chain"][0], since=to_us(START))
        data.schedules["chain"] = [first, replace(first, version=2, schedule=None, since=None)]
        row = data.jobs["chain"]
        data.jobs["chain"] = structs.replace(row, version=2, schedule=None, cursor=None)

    async def live() -> None:
        chain = Chain(JobApp("t", store=MemoryStore(data)))
        async with running(chain.app):
            await asyncio.sleep(2.25 * 3600)
        assert hours(9, 11) == chain.ran

    simulate(0, register())
    simulate(9, live())


def test_a_backfill_behind_a_failure_waits_for_it() -> None:
    chain = Chain(JobApp("t", store="memory"), start_at=START, missed="all")
    chain.failing = {at(1)}

    async def main() -> None:
        async with running(chain.app) as app:
            await asyncio.sleep(10)
            later = await app.backfill("chain", at(2), at(4))
            await asyncio.sleep(10)
            assert (await later.progress()).running == 2
            chain.failing.clear()
            await app.backfill("chain", at(1), at(2))
            assert (await later.wait()).succeeded == 2

    simulate(4.5, main())
    assert chain.ran[-3:] == hours(1, 4)


def test_a_chain_keeps_its_order_among_others_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run before may stand in the middle of an earlier page of all that waits."""
    monkeypatch.setattr(_needs, "_BATCH", 3)
    chain = Chain(JobApp("t", store="memory"))
    for number in range(2):

        @chain.app.job(f"stuck {number}", every=3600, needs=["never"])
        async def stuck() -> None: ...

    @chain.app.job("never", every=3600)
    async def never() -> None: ...

    async def main() -> None:
        async with running(chain.app) as app:
            await (await app.backfill("chain", START, at(12))).wait()
            for number in range(2):
                await app.backfill(f"stuck {number}", START, at(12))
            await asyncio.sleep(5)
            chain.ran.clear()
            await (await app.backfill("chain", START, at(12), reprocess="all")).wait()
            assert chain.ran == hours(0, 12)

    simulate(12, main())
    assert chain.most == 1


class NotingStore(MemoryStore):
    """Notes which backfills were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def backfill(self, backfill_id: str) -> BackfillRow | None:
        self.asked.append(backfill_id)
        return await super().backfill(backfill_id)


def test_backfills_are_looked_at_in_the_order_of_their_intervals() -> None:
    """A set of their ids would be in another order in each process, and no simulation replay."""
    store = NotingStore()
    chain = Chain(JobApp("t", store=store, poll_interval=60.0), start_at=START, missed="all")
    chain.failing = {at(0)}

    async def main() -> None:
        async with running(chain.app) as app:
            await asyncio.sleep(60)
            made = [await app.backfill("chain", at(hour), at(hour + 1), reprocess="all") for hour in range(8, 1, -1)]
            await asyncio.sleep(60)
            store.asked.clear()
            await asyncio.sleep(3600)
            oldest_first = [one.backfill_id for one in reversed(made)]
            assert oldest_first == store.asked[: len(made)]

    simulate(10.5, main())


async def test_a_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = Chain(make_app(tmp_path))
    first.failing = {at(3)}
    async with running(first.app) as app:
        backfill = await app.backfill("chain", START, at(8))

        async def stopped() -> bool:
            return first.ran == hours(0, 4)

        await eventually(stopped)
    second = Chain(make_app(tmp_path))
    async with running(second.app) as app:
        await (await app.backfill("chain", at(3), at(4))).wait()
        outcome = await (await app.backfill_by_id(backfill.backfill_id)).wait()
    assert (outcome.succeeded, outcome.failed) == (7, 1)
    assert second.ran == hours(3, 8)


async def test_a_chain_cannot_be_filled_from_its_end(tmp_path: Path) -> None:
    chain = Chain(make_app(tmp_path))
    with pytest.raises(InvalidArgumentError, match="waits for the one before it"):
        await chain.app.backfill("chain", START, START + timedelta(hours=3), order="desc")
