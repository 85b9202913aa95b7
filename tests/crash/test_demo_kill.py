"""Kill -9 the demo at moments drawn from what it does, start it again, and find every flight exactly once.

Each start is asked for one day more than the one before, so that every moment comes in every start.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final  # Any: cells have any type

import pytest
from tests.crash.support_traps import MOMENTS

pytest.importorskip("aiohttp")

from mainspring.base import current_random, use_random
from mainspring.demo._flight_file import FlightFile, find_archive, unpack

pytestmark = [pytest.mark.extras, pytest.mark.timeout(600)]

VICTIM: Final = Path(__file__).with_name("support_demo_victim.py")
RUNNING: Final = "SELECT run_id FROM run WHERE state = 'running'"
LIVING: Final = "SELECT epoch FROM epoch WHERE alive = 1"
FIRST_HOUR: Final = datetime(2013, 1, 1, 5, tzinfo=UTC)
RECORDS: Final = (
    "SELECT job_id, interval_start, generation, state FROM history"
    " UNION ALL SELECT job_id, interval_start, generation, 'live' FROM run"
)
DONE_RANGES: Final = "SELECT job_id, start, \"end\" FROM done WHERE state = 'succeeded'"


def demo(state: Path, days: int, *victim: str) -> "subprocess.CompletedProcess[str]":
    start = [str(VICTIM), *victim] if victim else ["-m", "mainspring.demo"]
    return subprocess.run(
        [sys.executable, *start, "--once", "--json", "--days", str(days), "--state", str(state)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
        check=False,
    )


def ask(state: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(state / "flights.db")) as connection:
        return connection.execute(sql).fetchall()


def check_invariants(state: Path) -> None:
    """One record for each occurrence, and rows of exactly the intervals that succeeded."""
    records = ask(state, RECORDS)
    assert [] == [one for one, count in Counter(record[:3] for record in records).items() if count > 1]
    succeeded = Counter((job, start) for job, start, _, how in records if how == "succeeded")
    assert {1} >= set(succeeded.values())
    done = {
        (job, start)
        for job, low, high in ask(state, DONE_RANGES)
        for (owner, start) in succeeded
        if owner == job and low <= start < high
    }
    assert set(succeeded) == done
    for table, job in (("flights", "load_flights"), ("daily_delays", "daily_delays")):
        told = ask(
            state, f"SELECT interval_start, item_count FROM history WHERE state = 'succeeded' AND job_id = '{job}'"
        )
        assert {start: count for start, count in told if count} == rows_by_interval(state, table)


def rows_by_interval(state: Path, table: str) -> dict[int, int]:
    if not ask(state, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"):
        return {}
    return dict(ask(state, f"SELECT _interval_start, count(*) FROM {table} GROUP BY 1"))


def check_flights(state: Path, days: int, columns: list[str]) -> int:
    """Compare the table with the file, row by row; return how many there are."""
    file = FlightFile(unpack(find_archive(), state))
    try:
        hours = [FIRST_HOUR + timedelta(hours=number) for number in range(24 * days)]
        expected = Counter(tuple(row[name] for name in columns) for hour in hours for row in file.rows(hour))
    finally:
        file.close()
    assert {1} == set(expected.values())
    assert expected == Counter(ask(state, f"SELECT {', '.join(columns)} FROM flights"))
    return expected.total()


class Deaths:
    """Starts the demo so that it dies, and compares what each start found with what the last one left."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self._claims = folder / "claims"
        self._left: set[str] = set()  # runs of the dead that nobody has claimed since

    def die_at(self, trap: str, calls: int, days: int) -> None:
        self._claims.unlink(missing_ok=True)
        ended = demo(self.state, days, trap, str(calls), str(self._claims))
        assert -signal.SIGKILL == ended.returncode, ended.stderr
        self._went_on_at_once()
        check_invariants(self.state)

    def _went_on_at_once(self) -> None:
        """The dead nodes' leases last an hour, yet their runs were free before the first claim, and came first."""
        ((last,),) = ask(self.state, LIVING)
        assert [] == ask(self.state, f"{RUNNING} AND epoch <> {last}")
        failed = {run for (run,) in ask(self.state, "SELECT run_id FROM history WHERE state = 'failed'")}
        if self._claims.exists():
            assert self._left - failed <= set(self._claims.read_text().split())
            self._left.clear()
        self._left |= {run for (run,) in ask(self.state, RUNNING)}


def test_every_flight_is_there_once_after_any_number_of_kills(
    tmp_path: Path, mainspring_count: Callable[[int, int], int]
) -> None:
    deaths = Deaths(tmp_path)
    kills = mainspring_count(len(MOMENTS), 20)
    with use_random(2013):
        states = list(MOMENTS.values())
        for number in range(kills):
            trap, most = current_random().choice(states[number % len(states)])
            deaths.die_at(trap, current_random().randint(1, most), number + 1)
    ended = demo(deaths.state, kills)
    assert 0 == ended.returncode, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    columns = [name for (name,) in ask(deaths.state, "SELECT name FROM pragma_table_info('flights')") if name[0] != "_"]
    flights = check_flights(deaths.state, kills, columns)
    assert (24 * kills, flights, kills) == (report["intervals"], report["flights"], report["days"])
    check_invariants(deaths.state)
    assert [(0, 0)] == ask(deaths.state, "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM counter)")
