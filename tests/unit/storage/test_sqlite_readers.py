import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from mainspring.base import SystemClock, use_clock
from mainspring.errors import StoreReadTimeoutError
from mainspring.storage import SqliteOwner
from mainspring.storage._sqlite_readers import Readers

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


class Racing:
    """A clock on which every look takes a tenth of a second."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return self._looks / 10

    def time(self) -> float:
        return SystemClock().time()

    def now(self) -> datetime:
        return SystemClock().now()


async def test_a_long_read_is_ended(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db") as owner:
        with use_clock(Racing()), pytest.raises(StoreReadTimeoutError, match="longer than 1 s"):
            await owner.read(lambda connection: connection.execute(ENDLESS).fetchone())
        assert await owner.read(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)


async def test_a_read_sees_one_snapshot(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db") as owner:
        await owner.write(lambda connection: connection.execute("CREATE TABLE t(x)") and None)
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)

        def count_twice(connection: sqlite3.Connection) -> list[int]:
            counts = [connection.execute("SELECT count(*) FROM t").fetchone()[0]]
            other.execute("INSERT INTO t VALUES (1)")
            return [*counts, connection.execute("SELECT count(*) FROM t").fetchone()[0]]

        readers = Readers(tmp_path / "a.db")
        assert readers.read(count_twice) == [0, 0]
        assert readers.read(count_twice) == [1, 1]
        readers.close()
        other.close()


async def test_errors_of_the_statement_reach_the_reader(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db") as owner:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await owner.read(lambda connection: connection.execute("SELECT * FROM missing"))
        with pytest.raises(ZeroDivisionError):
            await owner.read(lambda _: 1 // 0)


async def test_errors_of_a_look_up_reach_the_reader_and_lose_no_connection(tmp_path: Path) -> None:
    async with SqliteOwner(tmp_path / "a.db"):
        readers = Readers(tmp_path / "a.db")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            readers.fetch_one("SELECT * FROM missing WHERE key = ?", (1,))
        with pytest.raises(sqlite3.OperationalError, match="missing"):
            readers.look_up(lambda connection: connection.execute("SELECT * FROM missing"))
        assert readers.look_up(lambda connection: connection.in_transaction) is False
        assert readers.fetch_one("SELECT 1 WHERE 1 = ?", (2,)) is None
        assert readers.fetch_one("SELECT ?", (3,)) == (3,)
        readers.close()
