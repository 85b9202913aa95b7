import math
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from inspect import signature
from pathlib import Path

from mainspring.base import SystemClock, use_clock
from mainspring.jobs.stores import SqliteStore
from mainspring.jobs.stores._sqlite_heart import Heart
from mainspring.jobs.stores._sqlite_locks import look
from mainspring.storage import InlineRunner


class Still:
    """A clock that stands where a test puts it."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at

    def time(self) -> float:
        return SystemClock().time()

    def now(self) -> datetime:
        return SystemClock().now()


def expiry(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT expires_at FROM epoch").fetchone()[0])


async def test_it_beats_for_a_blocked_loop_until_max_block(tmp_path: Path) -> None:
    clock = Still()
    with use_clock(clock):
        store = SqliteStore(tmp_path / "a.db", lease=30.0, runner=InlineRunner())
        await store.open()
        epoch = await store.open_node("a")
        connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        heart = Heart(tmp_path / "a.db", lease=30.0, max_block=60.0)
        assert heart.beat(connection) == 0
        assert heart.lease_end(epoch) == -math.inf
        heart.beat_for(epoch)
        clock.at += 50
        assert heart.beat(connection) == 1
        assert round(clock.at + 30) * 1_000_000 == expiry(connection)
        assert clock.at + 30 == heart.lease_end(epoch)
        clock.at += 20
        assert heart.beat(connection) == 0
        assert clock.at + 10 == heart.lease_end(epoch)
        heart.tick()
        assert heart.beat(connection) == 1
        await store.close_node(epoch)
        assert heart.beat(connection) == 0
        heart.forget(epoch)
        assert heart.beat(connection) == 0
        heart.stop()
        connection.close()
        await store.close()


def test_a_store_is_as_durable_and_as_patient_as_promised() -> None:
    """A power cut loses nothing, a node lives 30 s without a heartbeat, and a blocked loop a minute."""
    defaults = {name: one.default for name, one in signature(SqliteStore).parameters.items()}
    assert ("disk", 30.0, 60.0) == (defaults["durability"], defaults["lease"], defaults["max_block"])


async def test_the_thread_renews_by_itself_and_ends_with_the_store(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    store = SqliteStore(tmp_path / "a.db", lease=0.06, durability="process")
    await store.open()
    epoch = await store.open_node("a")
    first = await store.owner.read(expiry)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    renewed = threading.Event()
    # the loop is blocked here: only the thread can move the lease on
    for _ in range(2000):
        if expiry(other) > first:
            renewed.set()
            break
        renewed.wait(0.005)
    assert renewed.is_set()
    other.execute("BEGIN IMMEDIATE")
    renewed.clear()
    renewed.wait(0.03)
    other.execute("COMMIT")
    assert (await store.heartbeat(epoch)).alive
    other.close()
    await store.close()
    assert before >= set(threading.enumerate())


async def test_a_lost_lease_leaves_nothing_in_the_way_of_the_next(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db", lease=0.6, durability="process")
    await store.open()
    lost = await store.open_node("a")
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("UPDATE epoch SET alive = 0, ended_at = 0")
    assert not (await store.heartbeat(lost)).alive
    assert -math.inf == store.lease_end(lost)
    epoch = await store.open_node("a")
    assert 1 == [look(path) for path in (tmp_path / "a.db-nodes").iterdir()].count("held")
    first = store.lease_end(epoch)
    renewed = threading.Event()
    # the loop is blocked here: only the thread can move the lease on
    for _ in range(2000):
        if store.lease_end(epoch) > first:
            renewed.set()
            break
        renewed.wait(0.005)
    assert renewed.is_set()
    await store.close()


async def test_the_thread_waits_for_a_file_that_is_locked_when_it_starts(tmp_path: Path) -> None:
    """Another process that recovers the file locks out those who open it; the heart must survive that."""
    store = SqliteStore(tmp_path / "a.db", lease=30.0, durability="process")
    await store.open()
    epoch = await store.open_node("a")
    await store.close()
    holder = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("UPDATE epoch SET alive = 1, expires_at = 0")
    heart = Heart(tmp_path / "a.db", lease=0.06, max_block=60.0)
    heart.beat_for(epoch)
    renewed = threading.Event()
    renewed.wait(0.03)
    holder.execute("COMMIT")
    holder.close()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    for _ in range(2000):
        if expiry(other) > 0:
            renewed.set()
            break
        renewed.wait(0.005)
    heart.stop()
    other.close()
    assert renewed.is_set()
