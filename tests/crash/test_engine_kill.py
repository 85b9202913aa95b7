"""Kill -9 two processes that work on one store, again and again, and find each occurrence and each row once."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final  # Any: cells have any type

import pytest
from tests.crash.support_engine_victim import CALLS, HOURS, ROWS, START
from tests.crash.support_traps import MOMENTS

from mainspring.base import current_random, use_random

ROOT: Final = Path(__file__).resolve().parents[2]
CHECK_EVERY: Final = 100
MOST_SECONDS: Final = 300.0  # for one round; the last one works through all that the dead have left
ONCE: Final = (
    "SELECT job_id, interval_start, generation FROM (SELECT * FROM (SELECT job_id, interval_start, generation FROM run)"
    " UNION ALL SELECT job_id, interval_start, generation FROM history) WHERE interval_start IS NOT NULL"
    " GROUP BY 1, 2, 3 HAVING count(*) > 1"
)
SUCCESSES: Final = (
    "SELECT interval_start, count(*) FROM history WHERE job_id = 'load' AND state = 'succeeded' GROUP BY 1"
)


class Victims:
    """The process that forks victims on a store, and what it said of their ends."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.support_engine_victim", str(store)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *victims: tuple[int, str, int]) -> list[int]:
        """Start victims, each as number, trap and calls; wait for all, and return their exit codes."""
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        for number, trap, calls in victims:
            self._nursery.stdin.write(f"{number} {trap} {calls}\n")
        self._nursery.stdin.write("wait\n")
        self._nursery.stdin.flush()
        guard = threading.Timer(MOST_SECONDS, self._nursery.kill)
        guard.start()
        try:
            return [int(word) for word in self._nursery.stdout.readline().split()]
        finally:
            guard.cancel()
            guard.join()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.store)) as connection:
            return connection.execute(sql).fetchall()

    def check(self) -> None:
        """One record for each occurrence, one success for each interval, and its rows, all of them or none."""
        assert [] == self.ask(ONCE)
        succeeded = self.ask(SUCCESSES)
        assert {1} >= {count for _, count in succeeded}
        rows = self.ask("SELECT _interval_start, count(*) FROM rows GROUP BY 1") if self._has("rows") else []
        assert {(start, ROWS) for start, _ in succeeded} == set(rows)

    def _has(self, table: str) -> bool:
        return bool(self.ask(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"))

    def close(self) -> None:
        self._nursery.kill()
        self._nursery.communicate()


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    started = Victims(tmp_path / "jobs.db")
    yield started
    started.close()


def draw(number: int) -> list[tuple[str, int, str, int]]:
    """Draw the states in which two victims die, with what they are told."""
    states: Sequence[str] = current_random().sample(list(MOMENTS), 2)
    drawn: list[tuple[str, int, str, int]] = []
    for state in states:
        trap, most = current_random().choice(MOMENTS[state])
        drawn.append((state, number, trap, current_random().randint(1, min(most, 4))))
    return drawn


@pytest.mark.timeout(3600)
def test_nothing_is_lost_or_doubled_by_any_number_of_kills(
    victims: Victims, mainspring_count: Callable[[int, int], int]
) -> None:
    wanted = mainspring_count(40, 2000)
    killed: Counter[str] = Counter()
    rounds = 0
    with use_random(2013):
        while killed.total() < wanted:
            drawn = draw(rounds)
            for (state, *_), code in zip(drawn, victims.run(*(one[1:] for one in drawn)), strict=True):
                assert code in (0, -signal.SIGKILL), f"{drawn}: {code}"
                killed[state] += code != 0
            rounds += 1
            assert rounds < wanted, "the traps are missed too often"
            if rounds % CHECK_EVERY == 0:
                victims.check()
    assert [0] == victims.run((rounds, "-", 0))
    victims.check()
    starts = [START + timedelta(hours=hour) for hour in range(HOURS * rounds)]
    assert [(start.isoformat(), n) for start in starts for n in range(ROWS)] == victims.ask(
        "SELECT hour, number FROM rows ORDER BY hour, number"
    )
    names = {f"call {number}.{index}" for number in range(rounds) for index in range(CALLS)}
    assert names == {name for (name,) in victims.ask("SELECT name FROM calls")}
    assert [(len(names),)] == victims.ask("SELECT count(*) FROM history WHERE job_id = 'call' AND state = 'succeeded'")
    assert {("NodeDied",)} >= set(victims.ask("SELECT DISTINCT error_type FROM history WHERE state = 'failed'"))
    assert [(0, 0)] == victims.ask("SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM counter)")
    ends = dict(victims.ask("SELECT state, count(*) FROM history GROUP BY 1"))
    print(f"{killed.total()} kills in {rounds} rounds, {dict(killed)}; records: {ends}")
