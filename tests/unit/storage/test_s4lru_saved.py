"""The LRU with a file: what is on disk when, and what comes back."""

import gc
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any  # Any: what may be no name

import pytest

from mainspring.errors import ClosedError, InvalidArgumentError, StoreOpenError
from mainspring.storage import S4LRU
from mainspring.testing import eventually


def rows(lru: S4LRU) -> list[tuple[str, int, int, int]]:
    """Return what another program sees in the file."""
    connection = sqlite3.connect(lru.path)
    try:
        return connection.execute("SELECT key, size, level, count FROM lru ORDER BY key").fetchall()
    finally:
        connection.close()


def test_an_lru_of_the_same_name_goes_on(tmp_path: Path) -> None:
    with S4LRU("pages", 1000, path=tmp_path) as lru:
        for key in "abcabca":
            lru.increment(key, 10)
    assert tmp_path / "sn4lru-pages.sqlite" == lru.path
    with S4LRU("pages", 1000, path=tmp_path) as again:
        assert [[], [("c", 10), ("b", 10)], [("a", 10)], []] == again.levels()
        assert 30 == again.size
    with S4LRU("other", 1000, path=tmp_path) as other:
        assert 0 == other.count


def test_more_touches_are_nearer_the_head_after_a_reload(tmp_path: Path) -> None:
    with S4LRU("pages", 1000, level_count=1, path=tmp_path) as lru:
        for key in "abcaab":
            lru.increment(key, 10)
    with S4LRU("pages", 1000, level_count=1, path=tmp_path) as again:
        assert [[("a", 10), ("b", 10), ("c", 10)]] == again.levels()


def test_new_keys_are_written_without_a_flush_and_touches_are_not(tmp_path: Path) -> None:
    with S4LRU("pages", 1000, path=tmp_path) as lru:
        lru.increment("a", 10)
        lru.increment("a", 20)
        lru.increment_boost("b", 5)
        lru.flush()
        assert [("a", 10, 0, 0), ("b", 5, 3, 0)] == rows(lru)
        lru.flush_counters()
        assert [("a", 20, 1, 1), ("b", 5, 3, 0)] == rows(lru)


def test_evicted_and_discarded_keys_leave_the_file(tmp_path: Path) -> None:
    with S4LRU("pages", 30, path=tmp_path) as lru:
        for key in "abcd":
            lru.increment(key, 10)
        assert ["a"] == lru.evict()
        assert lru.discard("b")
        assert not lru.discard("b")
        lru.flush_counters()
        assert [("c", 10, 0, 0), ("d", 10, 0, 0)] == rows(lru)


def test_a_key_that_returns_starts_from_nothing(tmp_path: Path) -> None:
    with S4LRU("pages", 1000, path=tmp_path) as lru:
        for key in "aaaa":
            lru.increment(key, 10)
        lru.flush_counters()
        lru.discard("a")
        lru.increment("a", 7)
        lru.increment("a", 7)
        lru.flush_counters()
        assert [("a", 7, 1, 1)] == rows(lru)


def test_the_state_names_the_lru(tmp_path: Path) -> None:
    said: list[str] = []
    with S4LRU("pages", 1000, path=tmp_path) as lru:
        lru.repr(logger=said.append)
    assert "LRU pages capacity 1,000; size 0; count 0" == said[0]
    assert "<S4LRU capacity 1000; size 0; count 0>" == repr(lru)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".", "a\0", None, 5])
def test_a_name_is_no_path(name: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="name"):
        S4LRU(name, 1000, path=tmp_path)


@pytest.mark.parametrize("key", [5, "\ud800"])
def test_a_key_that_has_no_text_form_is_refused(key: str, tmp_path: Path) -> None:
    with S4LRU("pages", 1000, path=tmp_path) as lru:
        with pytest.raises(InvalidArgumentError, match="key"):
            lru.increment(key, 1)
        assert (0, 0) == (lru.count, lru.size)


def test_a_file_in_the_way_of_the_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreOpenError):
        S4LRU("pages", 1000, path=tmp_path / "file")


def test_a_closed_lru_refuses_changes(tmp_path: Path) -> None:
    lru = S4LRU("pages", 1000, path=tmp_path)
    lru.close()
    lru.close()
    with pytest.raises(ClosedError):
        lru.increment("a", 1)


async def test_an_lru_that_nobody_closed_leaves_no_connection(tmp_path: Path) -> None:
    def use() -> None:
        lru = S4LRU("pages", 1000, path=tmp_path)
        lru.increment("a", 1)
        lru.flush()

    use()
    gc.collect()
    with S4LRU("pages", 1000, path=tmp_path) as again:
        assert ["a"] == list(again)
    # its thread lingers for a moment
    await eventually(lambda: not [one for one in open_files() if one.startswith(str(tmp_path))])


def open_files() -> list[str]:
    """Return the names behind the descriptors of this process."""
    names: list[str] = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # another thread has closed it just now
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return names
