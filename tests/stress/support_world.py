"""A small world on one store: nodes that start, die and are cut off, callers, and what must hold at its end.

Everything that is random comes from the seed, and time is virtual: the same seed tells the same story.
"""

import asyncio
import gc
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.stress.support_faults import LEASE, Audit, FaultyStore
from tests.stress.support_jobs import START, STEPS, make_app
from tests.stress.support_judges import Look, judge_backfills, judge_delay, judge_past, write

from mainspring.base import current_clock, current_random, decode_json, encode_json, new_id, to_us, use_random
from mainspring.errors import MainspringError
from mainspring.jobs import JobApp
from mainspring.jobs.model import RangeSet, RunState
from mainspring.jobs.stores import (
    BackfillState,
    ConfigRow,
    EventKind,
    EventRow,
    JobStore,
    MemoryData,
    MemoryStore,
    RunFilter,
    RunRecord,
    SqliteStore,
)
from mainspring.storage import InlineRunner
from mainspring.testing import VirtualClock

TROUBLE = 40.0  # seconds in which things go wrong
PEACE = 300.0  # seconds in which everything must come to its end after that
NODES = 3
STRENGTH = {"skipped": 1, "failed": 2, "succeeded": 3}

MakeStore = Callable[[], JobStore]
HeldSlots = Callable[[], Sequence[str]]


@dataclass
class Story:
    """What came of one seed; `problems` is empty if every promise held.

    `trace` is what befell the nodes and what they were told, each with its second.
    """

    problems: list[str]
    trace: list[tuple[float, object]]
    records: list[RunRecord]
    events: list[EventRow]

    def digest(self) -> str:
        """Return what two stories have in common only if they are the same."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


class SimulationRunner(InlineRunner):
    """Leaves the file alone for no time at all: whoever else wants it lives on the same loop."""

    def pause(self, seconds: float) -> None:
        """Do nothing; real waiting would be three quarters of what a world takes."""


class World:
    """Args: what makes a store on the data of this world, and what tells which slots are held at its end."""

    def __init__(self, make_store: MakeStore, held_slots: HeldSlots) -> None:
        self.audit = Audit()
        self.held_slots = held_slots
        self.make_store = make_store
        self.apps: list[tuple[JobApp, FaultyStore]] = []
        self.keys: dict[str, set[str]] = {}
        self.leaving: list[asyncio.Task[None]] = []
        self.tokens: list[str] = []  # of each version of the config of "call"

    # ---- what happens --------------------------------------------------------------------------------------

    async def live(self) -> Story:
        for _ in range(NODES):
            await self.start_node()
        loop = asyncio.get_running_loop()
        end = loop.time() + TROUBLE
        while loop.time() < end:
            await asyncio.sleep(current_random().uniform(0.2, 3.0))
            await current_random().choice([self.kill, self.cut, self.call, self.call, self.backfill, self.cancel])()
        for _, store in self.apps:
            store.heal()
        for app, _ in self.apps:
            await self.stop(app)
        await asyncio.gather(*self.leaving)
        await self.settle()
        return await self.judge()

    async def start_node(self, *, rate: float = 0.04, schedule: bool = True) -> None:
        while True:
            store = FaultyStore(self.make_store(), self.audit, rate=rate)
            app = make_app(store, schedule=schedule)
            try:
                await app.start()
            except MainspringError:
                await self.stop(app)
            else:
                self.apps.append((app, store))
                return

    async def stop(self, app: JobApp) -> None:
        try:
            await app.stop()
        except MainspringError:
            return

    async def kill(self) -> None:
        """A process dies: nothing that it does reaches the store any more, and another one takes its place."""
        random = current_random()
        app, store = self.apps.pop(random.randrange(len(self.apps)))
        store.gone = True
        self.audit.tell("killed")
        if random.random() < 0.5:
            await store.inner.close()
        self.leaving.append(asyncio.create_task(self.stop(app)))
        await asyncio.sleep(random.uniform(0.0, LEASE))
        await self.start_node()

    async def cut(self) -> None:
        _, store = current_random().choice(self.apps)
        store.cut = True
        self.audit.tell("cut")
        await asyncio.sleep(current_random().uniform(0.5, 2 * LEASE))
        store.cut = False

    async def call(self) -> None:
        """Change a job's config, then call it until that is accepted; the key makes it one run."""
        await self.configure()
        key = new_id()
        self.keys[key] = set()
        for _ in range(50):
            app, _ = current_random().choice(self.apps)
            try:
                result = await app.run_job("call", idempotency_key=key, wait=False)
            except MainspringError:
                await asyncio.sleep(0.1)
            else:
                self.keys[key].add(result.run_id)
                if current_random().random() < 0.7:
                    return

    async def configure(self) -> None:
        self.tokens.append(new_id())
        inner = self.apps[0][1].inner
        await inner.put_config(
            ConfigRow(
                job_id="call",
                version=len(self.tokens),
                value=encode_json({"token": self.tokens[-1]}),
                effective_from=inner.now(),
                created_at=inner.now(),
            )
        )

    async def backfill(self) -> None:
        random = current_random()
        app, _ = random.choice(self.apps)
        step = timedelta(seconds=20)
        first = START + step * ((current_clock().now() - START) // step - random.randint(1, 5))
        try:
            await app.backfill(
                random.choice(["grid", "grid", "grid", "chain"]),
                first,
                first + step * random.randint(1, 5),  # it may end later than now
                max_parallel=2,
                reprocess=random.choice(["missing", "failed", "all", "all"]),
                on_failure=random.choice(["continue", "stop"]),
                downstream=random.random() < 0.5,
            )
        except MainspringError:
            return

    async def cancel(self) -> None:
        app, store = current_random().choice(self.apps)
        live = await store.inner.runs(RunFilter(states=frozenset({RunState.RUNNING, RunState.AVAILABLE})))
        try:
            if live:
                await app.cancel(current_random().choice(live).run_id)
        except MainspringError:
            return

    async def settle(self) -> None:
        """Let one node without faults and without a schedule finish what is left."""
        self.apps = []
        await self.start_node(rate=0.0, schedule=False)
        ((app, store),) = self.apps
        for _ in range(int(PEACE)):
            await asyncio.sleep(1.0)
            if not await self.unfinished(store.inner):
                break
        await self.stop(app)

    async def unfinished(self, store: JobStore) -> list[str]:
        """Return what will end some day; runs that wait for a failed interval do not."""
        records = await store.runs(RunFilter(limit=10_000))
        live = [record for record in records if not record.state.terminal]
        left = [
            record.run_id
            for record in live
            if record.state is not RunState.WAITING or await self.is_covered(store, record)
        ]
        open_ones = await store.backfills(states=frozenset({BackfillState.RUNNING}), limit=1000)
        blocked = {(record.job_id, record.interval_start or 0) for record in live if record.state is RunState.WAITING}
        return left + [
            row.backfill_id
            for row in open_ones
            if not row.planned or not any(job == row.job_id and row.start <= at < row.end for job, at in blocked)
        ]

    async def is_covered(self, store: JobStore, record: RunRecord) -> bool:
        """Tell whether what a waiting run waits for is done."""
        start, end = record.interval_start or 0, record.interval_end or 0
        if record.job_id == "chain":
            start, end = start - 1, start
            again = await store.runs(RunFilter(job_id="chain", limit=1000))
            if any(one.interval_end == end and not one.state.terminal for one in again):  # it is being done again
                return False
        job_id = "grid" if record.job_id == "sum" else record.job_id
        good = {"succeeded"} if record.job_id == "sum" else {"succeeded", "skipped"}
        done = await store.done(job_id, start, end)
        return any(one.state in good and one.start <= start and one.end >= end for one in done)

    # ---- what must hold ------------------------------------------------------------------------------------

    async def judge(self) -> Story:
        store = self.make_store()
        await store.open()
        try:
            records = list(await store.runs(RunFilter(limit=100_000)))
            problems = [*self.audit.problems]
            problems += [f"{one} did not come to its end" for one in await self.unfinished(store)]
            problems += self.judge_occurrences(records) + self.judge_calls(records)
            problems += judge_past(records) + judge_delay(records)
            problems += await self.judge_cursors(store, records)
            problems += await self.judge_done(store, records) + await self.judge_rows(store, records)
            problems += self.judge_configs(records) + list(await store.check())
            problems += judge_backfills(await store.backfills(limit=1000), records)
            events = [event for record in records for event in await store.events(record.run_id)]
            problems += self.judge_events(events, records)
            return Story(problems, self.audit.trace, records, events)
        finally:
            await store.close()

    def judge_events(self, events: list[EventRow], records: list[RunRecord]) -> list[str]:
        """What befell a run is in its rows: each time once, whatever was sent again."""
        problems: list[str] = []
        counts = Counter((event.run_id, event.kind) for event in events)
        for record in records:
            told = tuple(counts[record.run_id, kind] for kind in (EventKind.RETRIED, EventKind.LEASE_LOST))
            wanted = (self.audit.retried[record.run_id], record.rescues)
            if wanted != told:
                problems.append(f"the rows of {record.run_id} tell of {told} retries and rescues, and it had {wanted}")
        return problems

    def judge_occurrences(self, records: list[RunRecord]) -> list[str]:
        seen: dict[tuple[str, int, int], str] = {}
        problems: list[str] = []
        for record in records:
            if record.interval_start is not None:
                key = (record.job_id, record.interval_start, record.generation)
                if key in seen:
                    problems.append(f"{key} has two records")
                seen[key] = record.run_id
            given_up = record.error_type == "ValueError" and record.state is RunState.FAILED
            if given_up and not self.audit.retried[record.run_id]:
                problems.append(f"{record.run_id} failed for good without a second attempt")
        return problems

    def judge_calls(self, records: list[RunRecord]) -> list[str]:
        problems = [f"key {key} was used for {len(runs)} runs" for key, runs in self.keys.items() if len(runs) > 1]
        calls = sum(record.job_id == "call" for record in records)
        if calls > len(self.keys):
            problems.append(f"{len(self.keys)} calls made {calls} runs")
        leaves = Counter(
            record.parent_run for record in records if record.job_id == "leaf" and record.state is RunState.SUCCEEDED
        )
        problems += [f"{parent} has {count} leaves of one key" for parent, count in leaves.items() if count > 1]
        return problems

    def judge_configs(self, records: list[RunRecord]) -> list[str]:
        """A run saw the values of the version that its record names."""
        problems: list[str] = []
        for record in records:
            if record.job_id == "call" and record.state is RunState.SUCCEEDED:
                version = record.config_version
                wanted = self.tokens[version - 1] if version else None
                if decode_json(record.value or b"null") != wanted:
                    problems.append(f"{record.run_id} did not see version {version} of its config")
        return problems

    async def judge_cursors(self, store: JobStore, records: list[RunRecord]) -> list[str]:
        """Every interval between the start and the cursor has a record."""
        problems: list[str] = []
        cursors = {row.job_id: row.cursor or 0 for row in await store.jobs()}
        for job_id, step in STEPS.items():
            spans = RangeSet(
                (record.interval_start or 0, record.interval_end or 0) for record in records if record.job_id == job_id
            )
            fires = range(to_us(START), cursors.get(job_id, 0), step)
            problems += [f"interval {at} of {job_id} was lost" for at in fires if not spans.covers(at, at + step)]
        return problems

    async def judge_done(self, store: JobStore, records: list[RunRecord]) -> list[str]:
        wanted: dict[tuple[int, int], str] = {}
        for record in records:
            state = record.state.value
            if record.job_id == "grid" and state in STRENGTH:
                key = (record.interval_start or 0, record.interval_end or 0)
                if STRENGTH[state] > STRENGTH.get(wanted.get(key, ""), 0):
                    wanted[key] = state
        found = {
            (at, at + 20_000_000): one.state
            for one in await store.done("grid", -(2**60), 2**60)
            for at in range(one.start, one.end, 20_000_000)
        }
        return [] if wanted == found else [f"the done-set differs from the records: {wanted.items() ^ found.items()}"]

    async def judge_rows(self, store: JobStore, records: list[RunRecord]) -> list[str]:
        """The last success of an interval has its row, and nothing else has."""
        look = Look()
        await write(store, look)
        last: dict[int, tuple[int, str, int]] = {}
        for record in records:
            if record.job_id == "grid" and record.state is RunState.SUCCEEDED:
                start = record.interval_start or 0
                last[start] = max(last.get(start, (0, "", 0)), (record.generation, record.run_id, record.fence))
        wanted = sorted((start, run_id, fence) for start, (_, run_id, fence) in last.items())
        problems = [] if wanted == look.rows else [f"the rows differ from the records: {set(wanted) ^ set(look.rows)}"]
        return problems + [f"slots of {key} are still held" for key in self.held_slots()]


def simulate(seed: int, make_store: MakeStore, held_slots: HeldSlots) -> Story:
    """Run the world of a seed.

    Without the collector of cycles: what it finds may end on the loop (an async generator of a killed app does),
    and when it looks depends on all that the process did before.
    """
    gc.disable()
    try:
        with use_random(seed), VirtualClock(START, shuffle=True) as clock:
            return clock.run(World(make_store, held_slots).live())
    finally:
        gc.enable()


def simulate_in_memory(seed: int) -> Story:
    """Run the world of a seed on stores in memory."""
    data = MemoryData()
    return simulate(seed, lambda: MemoryStore(data, lease=LEASE), lambda: sorted(data.counters))


def simulate_in_sqlite(seed: int, folder: Path) -> Story:
    """Run the world of a seed on a SQLite file without threads."""
    path = folder / f"{seed}.db"

    def make_store() -> JobStore:
        return SqliteStore(path, durability="memory", lease=LEASE, runner=SimulationRunner())

    def held_slots() -> list[str]:
        with closing(sqlite3.connect(path)) as connection:
            return [key for (key,) in connection.execute("SELECT key FROM counter WHERE held > 0")]

    return simulate(seed, make_store, held_slots)
