"""What other job engines got wrong, by their own issue trackers: one test each, through the public app.

That one constraint error of a user's rows fails its own run only is shown for every store by
`tests/conformance/jobs/test_sink_writes.py`.
"""

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.stress.support_faults import LEASE, Audit, FaultyStore

from mainspring.base import current_clock, use_random
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import MainspringError
from mainspring.jobs import DataInterval, JobApp, JobContext
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import MemoryData, MemoryStore, RunFilter, RunRecord, SqliteStore
from mainspring.testing import PythonChild, VirtualClock, eventually

START = datetime(2024, 1, 1, tzinfo=UTC)

Declare = Callable[[JobApp], None]


class Nodes:
    """Nodes that share one store in memory, in virtual time; each way to the store can be cut or end."""

    def __init__(self, declare: Declare) -> None:
        self.data = MemoryData()
        self.declare = declare

    async def start(self, name: str, **options: float) -> tuple[JobApp, FaultyStore]:
        store = FaultyStore(MemoryStore(self.data, lease=LEASE), Audit(), rate=0.0)
        app = JobApp("shop", store=store, poll_interval=1.0, drain_timeout=1.0, **options)  # type: ignore[arg-type]
        self.declare(app)
        await app.start()
        return app, store

    async def die(self, app: JobApp, store: FaultyStore) -> None:
        """End as by a kill: nothing of it reaches the store any more."""
        store.gone = True
        await store.inner.close()
        try:
            await app.stop()
        except MainspringError:
            return

    async def records(self) -> list[RunRecord]:
        store = MemoryStore(self.data, lease=LEASE)
        await store.open()
        try:
            return list(await store.runs(RunFilter(limit=10_000)))
        finally:
            await store.close()


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    with use_random(1), VirtualClock(START) as clock:
        clock.run(run())


def test_a_rescue_never_counts_against_the_users_retries() -> None:
    attempts: list[int] = []

    def declare(app: JobApp) -> None:
        @app.job("once")  # no retry: a second attempt would be one too many
        async def once(ctx: JobContext) -> None:
            attempts.append(ctx.attempt)
            await asyncio.sleep(30 if len(attempts) < 3 else 0)

    async def main() -> None:
        nodes = Nodes(declare)
        app, store = await nodes.start("first")
        run = await app.run_job("once", wait=False)
        for name in ("second", "third"):
            await asyncio.sleep(2)
            await nodes.die(app, store)
            app, store = await nodes.start(name)
        await asyncio.sleep(2 * LEASE)
        await app.stop()
        (record,) = await nodes.records()
        assert (run.run_id, RunState.SUCCEEDED, 1) == (record.run_id, record.state, record.attempt)
        assert [1, 1, 1] == attempts

    in_virtual_time(main)


def test_a_run_is_never_picked_twice_because_timers_disagree() -> None:
    """Retries, heartbeats, leases and polls all come due at the same instants, on three nodes."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def declare(app: JobApp) -> None:
        @app.job("flaky", retry=3)
        async def flaky(ctx: JobContext) -> None:
            running[ctx.run_id] += 1
            most[ctx.run_id] = max(most[ctx.run_id], running[ctx.run_id])
            try:
                await asyncio.sleep(LEASE)
                if ctx.attempt < 3:
                    raise ConnectionError("again")
            finally:
                running[ctx.run_id] -= 1

    async def main() -> None:
        nodes = Nodes(declare)
        apps = [(await nodes.start(f"node {number}"))[0] for number in range(3)]
        runs = await asyncio.gather(*(app.run_job("flaky") for app in apps for _ in range(20)))
        for app in apps:
            await app.stop()
        assert {(RunState.SUCCEEDED, 3)} == {(run.state, run.attempt) for run in runs}
        assert {1} == set(most.values())

    in_virtual_time(main)


def test_a_store_outage_during_recovery_strands_nothing() -> None:
    def declare(app: JobApp) -> None:
        @app.job("work", retry=1)
        async def work() -> None:
            await asyncio.sleep(3)

    async def main() -> None:
        nodes = Nodes(declare)
        victim, store = await nodes.start("victim")
        for _ in range(5):
            await victim.run_job("work", wait=False)
        await asyncio.sleep(1)
        await nodes.die(victim, store)
        heir, way = await nodes.start("heir")
        way.cut = True  # the rescue is answered by nobody, or half of it
        await asyncio.sleep(3 * LEASE)
        way.cut = False
        await asyncio.sleep(4 * LEASE)
        await heir.stop()
        assert [RunState.SUCCEEDED] * 5 == [record.state for record in await nodes.records()]

    in_virtual_time(main)


def test_several_schedulers_never_fire_twice() -> None:
    fired: Counter[datetime] = Counter()

    def declare(app: JobApp) -> None:
        @app.job("tick", every=60, start_at=START, missed="all")
        async def tick(data_interval: DataInterval) -> None:
            fired[data_interval.start] += 1

    async def main() -> None:
        nodes = Nodes(declare)
        apps = [(await nodes.start(f"node {number}"))[0] for number in range(5)]
        await asyncio.sleep(600.5)
        for app in apps:
            await app.stop()
        assert {START + timedelta(minutes=minute): 1 for minute in range(10)} == fired
        assert 10 == len(await nodes.records())

    in_virtual_time(main)


async def test_a_blocked_loop_that_loses_its_lease_stops_its_handler(tmp_path: Path) -> None:
    """The other node has the run and ends it; the handler whose loop was blocked ends without a record."""
    path = tmp_path / "jobs.db"
    blocks, taken = threading.Event(), threading.Event()
    stopped: list[str] = []

    def make(name: str) -> JobApp:
        store = SqliteStore(path, durability="process", lease=1.0, max_block=0.2)
        app = JobApp("shop", store=store, poll_interval=0.1, drain_timeout=1.0)

        @app.job("block")
        async def block() -> None:
            if name == "other":
                taken.set()
                return
            blocks.set()
            assert taken.wait(25)  # on the loop: nothing else runs there
            try:
                await asyncio.sleep(25)
            except asyncio.CancelledError:
                stopped.append(name)
                raise

        return app

    async def take_over() -> None:
        app = make("other")
        await app.start()

        async def has_it() -> bool:
            return [RunState.SUCCEEDED] == [record.state for record in await app.runs()]

        try:
            await eventually(has_it, within=25.0)
        finally:
            await app.stop()

    def help_out() -> None:
        assert blocks.wait(25)
        asyncio.run(take_over())

    app = make("blocked")
    await app.start()
    with ThreadPoolExecutor(1) as pool:
        helper = pool.run(help_out)
        run = await app.run_job("block", wait=False)
        await helper
    await eventually(lambda: stopped == ["blocked"], within=25.0)
    record = await app.run(run.run_id)
    await app.stop()
    assert record is not None
    assert (RunState.SUCCEEDED, 1) == (record.state, record.rescues)


def test_a_backfill_of_100_000_intervals_starts_at_full_speed() -> None:
    """Its first runs start at once, and only as many runs exist as are being worked on."""
    began: list[float] = []
    first = datetime(2023, 1, 1, tzinfo=UTC)

    def declare(app: JobApp) -> None:
        @app.job("minute", every=60, start_at=START)
        async def minute() -> None:
            began.append(current_clock().monotonic())
            await asyncio.sleep(1)

    async def main() -> None:
        nodes = Nodes(declare)
        app, _ = await nodes.start("node")
        asked = current_clock().monotonic()
        backfill = await app.backfill("minute", first, first + timedelta(minutes=100_000), max_parallel=32)
        await asyncio.sleep(10)
        assert began[0] - asked < 1.0
        assert sum(at - asked < 5.0 for at in began) >= 4 * 32
        assert len(await nodes.records()) < 2000
        await backfill.cancel()
        await app.stop()

    in_virtual_time(main)


SLEEPER = """
import asyncio, sys
from mainspring.jobs import DataInterval, JobApp
from mainspring.jobs.stores import SqliteStore
from mainspring.sinks import SqlTable

async def main():
    store = SqliteStore(sys.argv[1], durability="process", lease=1.0)
    app = JobApp("sleeper", store=store, poll_interval=0.1)

    @app.job("tick", every=0.2, missed="all", sink=SqlTable("ticks", replace="interval"))
    async def tick(data_interval: DataInterval):
        print("tick", flush=True)
        yield {"at": data_interval.start.isoformat()}

    await app.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.timeout(120)
async def test_a_suspended_node_that_wakes_creates_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = SqliteStore(path, durability="process", lease=1.0)
    await store.open()
    try:
        async with PythonChild("-c", SLEEPER, str(path)) as first, PythonChild("-c", SLEEPER, str(path)) as second:
            await first.line("tick")
            await second.line("tick")
            # While we have the file's write lock, so that the sleeper does not take it to bed.
            await store.owner.write(lambda _: suspend(first.pid))

            async def is_dead() -> bool:
                return any(not alive for alive in await living(store))

            await eventually(is_dead, within=30.0)
            for _ in range(5):
                await second.line("tick")
            os.kill(first.pid, signal.SIGCONT)
            for _ in range(3):
                await first.line("tick")
        records = await store.runs(RunFilter(limit=10_000))
        made = Counter(record.interval_start for record in records)
        assert {1} == set(made.values())
        ended = [record for record in records if record.state is RunState.SUCCEEDED]
        assert len(ended) >= 5
    finally:
        await store.close()


def suspend(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        os.sched_yield()


async def living(store: SqliteStore) -> list[bool]:
    """Return for each node that ever was whether its epoch is alive."""
    return [
        bool(alive) for (alive,) in await store.owner.read(lambda c: c.execute("SELECT alive FROM epoch").fetchall())
    ]
