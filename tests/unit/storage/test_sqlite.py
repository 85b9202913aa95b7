import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import pytest

from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    StoreBusyError,
    StoreForkedError,
    StoreTooNewError,
)
from mainspring.storage import InlineRunner, Migration, Runner, SqliteOwner, ThreadRunner, WriteChannel
from mainspring.storage._sqlite import _this
from mainspring.testing import eventually

SCHEMA = (Migration(1, "CREATE TABLE item(key TEXT PRIMARY KEY, value INTEGER);"),)


@pytest.fixture(params=["thread", "inline"])
def runner(request: pytest.FixtureRequest) -> Runner:
    return ThreadRunner() if request.param == "thread" else InlineRunner()


def insert(connection: sqlite3.Connection, keys: Sequence[str]) -> list[str | BaseException]:
    for key in keys:
        connection.execute("INSERT INTO item VALUES (?, 1)", (key,))
    return list(keys)


def keys(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT key FROM item ORDER BY key")]


async def test_what_waits_together_is_written_in_one_group(tmp_path: Path, runner: Runner) -> None:
    groups: list[int] = []
    entered, free = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection, commands: Sequence[str]) -> list[str]:
        entered.set()
        free.wait(30)
        return list(commands)

    def handler(connection: sqlite3.Connection, commands: Sequence[str]) -> list[str | BaseException]:
        groups.append(len(commands))
        return insert(connection, commands)

    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA, runner=runner) as owner:
        if isinstance(runner, InlineRunner):
            free.set()  # it writes in the thread of this test
        holding: WriteChannel[str, str] = owner.channel(hold, name="hold")
        channel: WriteChannel[str, str] = owner.channel(handler, name="insert")
        first = holding.submit("")
        await eventually(entered.is_set)
        futures = [channel.submit(f"{number:03}") for number in range(100)]
        free.set()
        assert [f"{number:03}" for number in range(100)] == await asyncio.gather(*futures)
        assert "" == await first
        assert 100 == len(await owner.read(keys))
        assert [100] == groups
        stats = owner.stats()
    assert (2, 101, 0, 0) == (
        stats.group_count,
        stats.command_count,
        stats.failed_count,
        stats.pending_count,
    )
    assert "closed" in repr(owner)
    assert "insert" in repr(channel)


async def test_a_bad_command_fails_alone(tmp_path: Path, runner: Runner) -> None:
    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA, runner=runner) as owner:
        channel: WriteChannel[str, str] = owner.channel(insert, name="insert")
        answers = await asyncio.gather(*(channel.submit(key) for key in ("a", "b", "a", "c")), return_exceptions=True)
        assert await owner.read(keys) == ["a", "b", "c"]
    assert isinstance(answers[2], sqlite3.IntegrityError)
    assert [answers[0], answers[1], answers[3]] == ["a", "b", "c"]


async def test_a_write_that_raises_leaves_nothing(tmp_path: Path, runner: Runner) -> None:
    def half(connection: sqlite3.Connection) -> None:
        insert(connection, ["half"])
        raise ValueError("no")

    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA, runner=runner) as owner:
        bad = owner.write(half)
        good = owner.write(lambda connection: insert(connection, ["good"]))
        assert await good == ["good"]
        with pytest.raises(ValueError, match="no"):
            await bad
        assert await owner.read(keys) == ["good"]


async def test_a_cancelled_caller_does_not_undo_its_write(tmp_path: Path, runner: Runner) -> None:
    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA, runner=runner) as owner:
        owner.write(lambda connection: insert(connection, ["a"])).cancel()
        await owner.write(lambda connection: insert(connection, ["b"]))
        assert await owner.read(keys) == ["a", "b"]


async def test_close_writes_what_was_submitted(tmp_path: Path, runner: Runner) -> None:
    owner = await SqliteOwner(tmp_path / "a.db", migrations=SCHEMA, runner=runner).open()
    channel: WriteChannel[str, str] = owner.channel(insert, name="insert")
    futures = [channel.submit(key) for key in "abc"]
    await owner.close()
    await owner.close()
    assert all(future.done() for future in futures)
    with pytest.raises(ClosedError):
        await owner.write(keys)
    with pytest.raises(ClosedError):
        await owner.read(keys)
    with pytest.raises(ClosedError):
        await owner.open()
    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA) as again:
        assert await again.read(keys) == ["a", "b", "c"]


async def test_who_is_not_admitted_changes_nothing_and_leaves_nothing(tmp_path: Path, runner: Runner) -> None:
    versions: list[int] = []

    def admit(connection: sqlite3.Connection) -> None:
        versions.append(connection.execute("PRAGMA user_version").fetchone()[0])
        if versions[-1] == 1:
            raise LookupError("not you")

    more = (*SCHEMA, Migration(2, "CREATE TABLE more(key TEXT)"))
    await (await SqliteOwner(tmp_path / "a.db", migrations=SCHEMA).open(admit=admit)).close()
    threads = set(threading.enumerate())
    with pytest.raises(LookupError):
        await SqliteOwner(tmp_path / "a.db", migrations=more, runner=runner).open(admit=admit)
    assert threads >= set(threading.enumerate())
    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA) as owner:
        assert await owner.read(keys) == []
    assert [0, 1] == versions


async def test_nothing_is_left_after_close(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    threads, before = set(threading.enumerate()), descriptors()
    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA) as owner:
        await asyncio.gather(*(owner.read(keys) for _ in range(20)))
        assert "mainspring-sqlite-writer" in {thread.name for thread in threading.enumerate()}
    assert threads >= set(threading.enumerate())
    assert before >= descriptors()


async def test_an_owner_that_cannot_open_leaves_nothing(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db", migrations=(*SCHEMA, Migration(2, "SELECT 1"))):
        pass
    threads = set(threading.enumerate())
    with pytest.raises(StoreTooNewError, match="schema version 2, this program knows versions up to 1"):
        await SqliteOwner(tmp_path / "a.db", migrations=SCHEMA).open()
    assert threads >= set(threading.enumerate())


async def test_memory_database_reads_what_it_wrote(runner: Runner) -> None:
    async with SqliteOwner(":memory:", migrations=SCHEMA, runner=runner) as owner:
        await owner.write(lambda connection: insert(connection, ["a"]))
        assert await owner.read(keys) == ["a"]


async def test_too_many_waiting_writes_are_refused(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db", runner=InlineRunner(), max_pending=2) as owner:
        waiting = [owner.write(lambda _: None) for _ in range(2)]
        with pytest.raises(StoreBusyError, match="2 writes wait already"):
            await owner.write(lambda _: None)
        await asyncio.gather(*waiting)
        await owner.write(lambda _: None)


async def test_groups_are_bounded_by_count_and_yield(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db", migrations=SCHEMA, max_group=10) as owner:
        owner.yield_between_groups = 0.001
        channel: WriteChannel[str, str] = owner.channel(insert, name="insert")
        await asyncio.gather(*(channel.submit(str(number)) for number in range(35)))
        assert owner.stats().largest_group <= 10
        assert owner.stats().group_count >= 4


FORKED = """
import asyncio, os, sys
from mainspring.storage import InlineRunner, SqliteOwner

async def main():
    async with SqliteOwner(sys.argv[1], runner=InlineRunner()) as owner:
        child = os.fork()
        for ask in (owner.write, owner.read):
            try:
                await ask(lambda connection: connection.execute("SELECT 1").fetchone())
                said = "answered"
            except Exception as error:
                said = type(error).__name__
            os.write(1, f"{said}\\n".encode())
        if not child:
            os._exit(0)
        os.waitpid(child, 0)

asyncio.run(main())
"""


def test_a_group_holds_the_lock_for_50_ms_and_a_reader_its_snapshot_for_a_second_unless_told() -> None:
    defaults = {name: one.default for name, one in signature(SqliteOwner).parameters.items()}
    assert (0.05, 1.0) == (defaults["max_group_seconds"], defaults["read_limit"])


async def test_another_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SqliteOwner(tmp_path / "a.db", runner=InlineRunner()) as owner:
        with monkeypatch.context() as patch:
            patch.setattr(_this, "number", -1)
            with pytest.raises(StoreForkedError):
                await owner.write(keys)
            with pytest.raises(StoreForkedError):
                await owner.read(keys)


def test_connection_carried_through_fork_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKED, str(tmp_path / "a.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ["StoreForkedError"] * 2 + ["answered"] * 2 == sorted(done.stdout.split())


def test_bad_arguments_are_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="durability"):
        SqliteOwner("a.db", durability="none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArgumentError, match="max_group"):
        SqliteOwner("a.db", max_group=0)
    with pytest.raises(InvalidArgumentError, match="versions 1, 2, 3"):
        SqliteOwner("a.db", migrations=[Migration(2, "")])
