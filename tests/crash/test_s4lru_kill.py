"""Kill -9 a program that keeps an LRU, or a dict in memory and on disk: what was acknowledged is there."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mainspring.base import current_random, use_random
from mainspring.compat.mutil.dualcache import DualCache
from mainspring.storage import S4LRU

Count = Callable[[int, int], int]

LRU = """
import sys
from mainspring.compat.mutil.s4lru import S4LRU
lru = S4LRU("killed", 100_000)
start = lru.count
for number in range(start, start + 10_000):
    lru.increment(f"key-{number}", 1)
    print(number, flush=True)
    lru.increment(f"key-{number // 2}", 1)
    if number % 7 == 0:
        lru.flushCounters()
"""
DUAL = """
import sys
from mainspring.compat.mutil.dualcache import DualCache
cache = DualCache("killed")
start = len(cache)
for number in range(start, start + 10_000):
    cache[f"key-{number}"] = [number] * 300
    print(number, flush=True)
"""


def killed(program: str, folder: Path, moments: list[int]) -> Iterator[int]:
    """Kill a program after so many lines, again and again; give the last number that it said."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for moment in moments:
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder) as child:
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(moment)]
            os.kill(child.pid, signal.SIGKILL)
            said += child.stdout.readlines()
        yield max(int(line) for line in said if line.endswith("\n"))


def moments_of(seed: int, count: int) -> list[int]:
    with use_random(seed):
        return [current_random().randint(1, 60) for _ in range(count)]


def test_each_new_key_of_an_lru_survives(tmp_path: Path, mainspring_count: Count) -> None:
    for last in killed(LRU, tmp_path, moments_of(5, mainspring_count(3, 60))):
        file = next(tmp_path.glob("*killed*.sqlite"))
        with S4LRU("killed", 100_000, path=tmp_path) as lru:
            known = {key for level in lru.levels() for key, _ in level}
            assert {f"key-{number}" for number in range(last + 1)} <= known
            assert len(known) == lru.size  # each has size 1, and none is counted twice
        assert sound(file)


def test_each_value_of_a_dual_cache_survives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mainspring_count: Count
) -> None:
    monkeypatch.chdir(tmp_path)
    for last in killed(DUAL, tmp_path, moments_of(6, mainspring_count(3, 60))):
        cache = DualCache("killed")
        assert {f"key-{number}" for number in range(last + 1)} <= set(cache)
        assert all(value == [int(key[4:])] * 300 for key, value in cache.items())
        cache.close()
        assert all(sound(file) for file in tmp_path.rglob("sqlshard.db"))


def sound(file: Path) -> bool:
    connection = sqlite3.connect(file)
    found: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return found == "ok"
