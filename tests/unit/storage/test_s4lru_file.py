"""The rows of an LRU on their way to disk: order, groups, failures."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mainspring.errors import ClosedError, StoreBusyError, StoreForkedError
from mainspring.storage._s4lru_file import LruFile, LruRow
from mainspring.testing import eventually

NEW = LruRow(10, 0, 0, new=True)


def open_file(tmp_path: Path, *, busy_timeout: float = 30.0) -> LruFile:
    return LruFile(tmp_path / "lru.sqlite", durability="process", busy_timeout=busy_timeout)


def rows(file: LruFile) -> list[tuple[str, int, int, int]]:
    connection = sqlite3.connect(file.path)
    try:
        return connection.execute("SELECT key, size, level, count FROM lru ORDER BY key").fetchall()
    finally:
        connection.close()


def test_the_last_state_of_each_key_is_written(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    for number in range(200):
        file.put(f"{number:03}", NEW)
        file.put(f"{number:03}", LruRow(11, 1, 1, new=False))
        file.put(f"{number:03}", LruRow(12, 2, 2, new=False))
        if number % 2:
            file.put(f"{number:03}", None)
    file.flush()
    assert [(f"{number:03}", 12, 2, 3) for number in range(0, 200, 2)] == rows(file)
    file.put("000", LruRow(12, 3, 4, new=False))
    file.flush()
    assert ("000", 12, 3, 7) == rows(file)[0]
    file.close()


def test_threads_may_hand_in_side_by_side(tmp_path: Path) -> None:
    file = open_file(tmp_path)

    def work(name: str) -> None:
        for number in range(100):
            file.put(f"{name}-{number}", NEW)
        file.flush()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 400 == len(rows(file)) == len(file.load())
    file.close()


def test_what_the_store_did_not_take_is_tried_again(tmp_path: Path) -> None:
    file = open_file(tmp_path, busy_timeout=0.01)
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    file.put("a", NEW)
    with pytest.raises(StoreBusyError):
        file.flush()
    file.put("a", LruRow(20, 1, 1, new=False))
    with pytest.raises(StoreBusyError):
        file.flush()
    other.execute("COMMIT")
    other.close()
    file.flush()
    assert [("a", 20, 1, 1)] == rows(file)
    file.close()


async def test_a_failure_in_the_background_is_told_by_the_next_flush_if_it_lasts(tmp_path: Path) -> None:
    file = open_file(tmp_path, busy_timeout=0.0)
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    file.put("a", NEW)
    await eventually(lambda: file._thread is None)
    other.execute("COMMIT")
    other.close()
    file.put("b", NEW)
    await eventually(lambda: not file._waiting and not file._writing)
    file.flush()
    assert ["a", "b"] == [row[0] for row in rows(file)]
    file.close()


async def test_a_dropped_row_is_told_however_long_ago_it_was(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    file.put("bad", LruRow(2**70, 0, 0, new=True))
    await eventually(lambda: file._thread is None)
    with pytest.raises(OverflowError):
        file.flush()
    file.close()


def test_a_row_that_cannot_be_stored_is_told_once_and_dropped(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    file.put("good", NEW)
    file.put("bad", LruRow(2**70, 0, 0, new=True))
    with pytest.raises(OverflowError):
        file.flush()
    file.flush()
    assert [("good", 10, 0, 0)] == rows(file)
    file.close()


def test_a_failed_close_closes(tmp_path: Path) -> None:
    file = open_file(tmp_path, busy_timeout=0.01)
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    file.put("a", NEW)
    with pytest.raises(StoreBusyError):
        file.close()
    other.close()
    file.close()
    for call in (file.flush, lambda: file.put("a", NEW)):
        with pytest.raises(ClosedError):
            call()


def test_a_child_may_not_use_the_connection_of_its_parent(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    file._process = os.getpid() + 1
    with pytest.raises(StoreForkedError):
        file.put("a", NEW)
    file._process = os.getpid()
    file.close()


def test_a_program_that_ends_writes_what_it_handed_in(tmp_path: Path) -> None:
    program = (
        "import sys; from mainspring.storage import S4LRU\n"
        "lru = S4LRU('pages', 10**6, path=sys.argv[1])\n"
        "for number in range(3000): lru.increment(str(number), 1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=50, env=environment)
    connection = sqlite3.connect(tmp_path / "sn4lru-pages.sqlite")
    assert (3000,) == connection.execute("SELECT count(*) FROM lru").fetchone()
    connection.close()
