import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from mainspring.base import SystemClock, use_clock
from mainspring.errors import ClosedError, StoreBusyError
from mainspring.storage import InlineRunner, Migration, SqliteOwner, WriteChannel
from mainspring.storage._sqlite_writer import Writer


class Waits:
    """Counts the pauses, and does something at one of them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.then: Callable[[], object] | None = None

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == 3 and self.then is not None:
            self.then()


def writer_on(path: Path, waits: Waits, *, busy_timeout: float = 30.0) -> Writer:
    writer = Writer(path, durability="process", busy_timeout=busy_timeout, pause=waits)
    writer.add_handler(lambda _, commands: list(commands))
    writer.open((), application="test")
    return writer


def test_a_locked_file_is_waited_for_in_small_steps(tmp_path: Path) -> None:
    waits = Waits()
    writer = writer_on(tmp_path / "a.db", waits)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits.then = lambda: other.execute("COMMIT")
    assert writer.write([(0, "x")]) == ["x"]
    assert len(waits.seconds) == 3
    assert max(waits.seconds) < 0.001
    other.close()
    writer.close()


def test_a_file_that_stays_locked_is_busy(tmp_path: Path) -> None:
    writer = writer_on(tmp_path / "a.db", Waits(), busy_timeout=0.0)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = writer.write([(0, "x"), (0, "y")])
    assert [StoreBusyError] * 2 == [type(answer) for answer in answers]
    assert answers[0] is not answers[1]
    other.close()
    writer.close()


def test_opening_waits_for_whoever_has_the_whole_file_locked(tmp_path: Path) -> None:
    """The last connection to close locks the file while it takes the log in."""
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA locking_mode=EXCLUSIVE", "CREATE TABLE t(x)"):
        other.execute(statement)
    release = threading.Timer(0.05, other.close)
    release.start()
    writer = writer_on(tmp_path / "a.db", Waits())
    assert writer.write([(0, "x")]) == ["x"]
    writer.close()
    release.join()


def test_a_closed_writer_answers_so(tmp_path: Path) -> None:
    writer = writer_on(tmp_path / "a.db", Waits())
    writer.close()
    writer.close()
    assert isinstance(writer.write([(0, "x")])[0], ClosedError)


def test_a_group_is_written_again_without_the_commands_that_ended_its_transaction(tmp_path: Path) -> None:
    guilty: list[str] = []

    def lose(connection: sqlite3.Connection, commands: Sequence[str]) -> list[object]:
        answers: list[object] = []
        for command in commands:
            connection.execute("CREATE TABLE IF NOT EXISTS item(key)")
            if command.startswith("bad") and command not in guilty:
                guilty.append(command)
                connection.execute("ROLLBACK")
                raise sqlite3.OperationalError("the engine rolled back")
            connection.execute("INSERT INTO item VALUES (?)", (command,))
            answers.append(ValueError(command) if command in guilty else command)
        return answers

    writer = Writer(tmp_path / "a.db", durability="process", busy_timeout=1.0, pause=Waits())
    writer.add_handler(lose)
    writer.open((), application="test")
    answers = writer.write([(0, "a"), (0, "bad b"), (0, "c"), (0, "bad d")])
    assert ["a", "bad b", "c", "bad d"] == [str(answer) for answer in answers]
    assert [str, ValueError, str, ValueError] == [type(answer) for answer in answers]
    other = sqlite3.connect(tmp_path / "a.db")
    assert 4 == other.execute("SELECT count(*) FROM item").fetchone()[0]
    other.close()
    writer.close()


def test_a_command_that_always_ends_its_transaction_ends_the_attempts(tmp_path: Path) -> None:
    calls: list[Sequence[str]] = []

    def lose(connection: sqlite3.Connection, commands: Sequence[str]) -> list[str]:
        calls.append(commands)
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("the engine rolled back")

    writer = Writer(tmp_path / "a.db", durability="process", busy_timeout=1.0, pause=Waits())
    writer.add_handler(lose)
    writer.open((), application="test")
    assert [sqlite3.OperationalError] * 2 == [type(answer) for answer in writer.write([(0, "a"), (0, "b")])]
    assert 3 == len(calls)
    writer.close()


class Slow:
    """A clock on which every look takes a second."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return float(self._looks)

    def time(self) -> float:
        return SystemClock().time()

    def now(self) -> datetime:
        return SystemClock().now()


async def test_groups_shrink_when_commands_are_slow(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db", runner=InlineRunner(), max_group_seconds=2.0) as owner:
        with use_clock(Slow()):
            await owner.write(lambda _: None)
            await asyncio.gather(*(owner.write(lambda _: None) for _ in range(32)))
        assert owner.stats().largest_group < 32


async def test_beside_others_groups_leave_room_for_a_slow_commit(tmp_path: Path) -> None:
    """The lock is held until the disk has answered; nobody waits for it where no other process writes."""
    groups: list[int] = []
    for pause in (0.0, 1e-6):
        async with SqliteOwner(tmp_path / "a.db", runner=InlineRunner(), max_group_seconds=2.0) as owner:
            owner.yield_between_groups = pause
            with use_clock(Slow()):
                for _ in range(8):
                    await owner.write(lambda _: None)
                await asyncio.gather(*(owner.write(lambda _: None) for _ in range(32)))
            groups.append(owner.stats().group_count)
    assert groups[0] < groups[1]


async def test_slow_commands_of_one_channel_leave_groups_of_another_large(tmp_path: Path) -> None:
    owner = SqliteOwner(tmp_path / "a.db", runner=InlineRunner(), max_group_seconds=2.0)
    quick: WriteChannel[int, int] = owner.channel(lambda _, commands: list(commands), name="quick")
    async with owner:
        with use_clock(Slow()):
            for _ in range(8):
                await owner.write(lambda _: None)
        await asyncio.gather(*(quick.submit(number) for number in range(100)))
        assert owner.stats().largest_group == 100


async def test_a_migration_waits_for_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with SqliteOwner(path, runner=InlineRunner()):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        late = SqliteOwner(
            path, migrations=[Migration(1, "CREATE TABLE t(x)")], runner=InlineRunner(), busy_timeout=0.0
        )
        with pytest.raises(StoreBusyError):
            await late.open()
        other.close()
