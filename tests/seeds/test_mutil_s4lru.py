"""The chapter "s4lru" of the mutil seed."""

import sqlite3
from pathlib import Path

import pytest

from mainspring.compat.mutil.s4lru import S4LRU


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("capacity", [300, 150])
def test_usage(capacity: int, capsys: pytest.CaptureFixture[str]) -> None:
    s = S4LRU("TestingLRU", capacity)

    s.increment("key1", 5)
    s.increment("key2", 63)
    s.increment("key3", 100)

    s.flushCounters()

    gone = []
    while s.evictCheck():
        evicted = s.evict()
        s.repr("LRU State Now")
        gone += evicted

    assert s.size <= capacity
    assert (gone == []) is (capacity == 300)
    assert ("============== LRU State Now ==============" in capsys.readouterr().out) is (capacity == 150)
    s.close()


def test_a_new_key_is_on_disk_at_once_and_an_update_when_it_is_flushed() -> None:
    s = S4LRU("TestingLRU", 300, levelCount=10)
    s.increment("key1", 5)
    s.increment("key1", 5)
    s.incrementBoost("key2", 5)
    assert [("key1", 0, 0), ("key2", 3, 0)] == on_disk()
    s.flushCounters()
    assert [("key1", 1, 1), ("key2", 3, 0)] == on_disk()
    s.close()
    again = S4LRU("TestingLRU", 300, levelCount=10)
    assert {"key1", "key2"} == set(again)
    again.close()


def on_disk() -> list[tuple[str, int, int]]:
    connection = sqlite3.connect("sn4lru-TestingLRU.sqlite")
    try:
        return connection.execute("SELECT key, level, count FROM lru ORDER BY key").fetchall()
    finally:
        connection.close()
