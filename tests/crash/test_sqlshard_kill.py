"""Kill -9 a program that writes to a sharded store: what was acknowledged is there, and nothing is half."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.base import current_random, use_random
from mainspring.storage import SQLShard

Count = Callable[[int, int], int]

SYNC = """
import sys, threading
from mainspring.storage import SQLShard
shard = SQLShard(4, sys.argv[1])
start = len(shard)
said = threading.Lock()
def work(name):
    for number in range(start, start + 10_000):
        if number % 10 == 0:
            with shard.bulk() as bulk:
                for extra in range(20):
                    bulk[name, number, extra] = [name, number] * 100
        else:
            shard[name, number, 0] = [name, number] * 100
        with said:
            print(name, number, flush=True)
for name in "abc":
    threading.Thread(target=work, args=(name,)).start()
"""
ASYNC = """
import asyncio, sys
from mainspring.storage import AsyncSQLShard
async def work(shard, name, start):
    for number in range(start, start + 10_000):
        if number % 10 == 0:
            await shard.set_many({(name, number, extra): [name, number] * 100 for extra in range(20)})
        else:
            await shard.set((name, number, 0), [name, number] * 100)
        print(name, number, flush=True)
async def main():
    async with AsyncSQLShard(4, sys.argv[1]) as shard:
        start = await shard.count()
        await asyncio.gather(*(work(shard, name, start) for name in "abc"))
asyncio.run(main())
"""
RESHARD = """
import sys
from mainspring.storage import SQLShard
for shards in (3, 5, 4) * 1000:
    SQLShard.reshard(sys.argv[1], shards=shards)
    print("resharded", shards, flush=True)
"""


def killed(program: str, path: Path, lines: int) -> list[list[str]]:
    """Run a program, kill it after so many lines, return the words of all whole lines."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]


def sound(path: Path) -> None:
    """Check every file of a store."""
    for file in path.glob("sqlshard*/*/sqlshard.db"):
        connection = sqlite3.connect(file)
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_every_acknowledged_pair_survives_the_kill(tmp_path: Path, program: str, mainspring_count: Count) -> None:
    with use_random(program):
        moments = [current_random().randint(1, 150) for _ in range(mainspring_count(3, 60))]
    expected: set[tuple[str, int, int]] = set()
    for moment in moments:
        for name, number in killed(program, tmp_path, moment):
            expected |= {(name, int(number), extra) for extra in range(20 if int(number) % 10 == 0 else 1)}
    sound(tmp_path)
    with SQLShard(4, tmp_path) as shard:
        assert expected <= set(shard)
        for key, value in shard.items():
            assert [key[0], key[1]] * 100 == value
            assert key in shard


def test_a_store_that_is_resharded_is_whole_whenever_it_is_killed(tmp_path: Path, mainspring_count: Count) -> None:
    pairs = {("abc"[number % 3], number, 0): [number] * 30 for number in range(400)}
    with SQLShard(4, tmp_path) as shard:
        shard.update(pairs)
    with use_random(7):
        moments = [current_random().randint(1, 4) for _ in range(mainspring_count(4, 60))]
    for moment in moments:
        killed(RESHARD, tmp_path, moment)
        assert 400 == SQLShard.reshard(tmp_path, shards=4)
        sound(tmp_path)
        with SQLShard(4, tmp_path) as again:
            assert pairs == again
