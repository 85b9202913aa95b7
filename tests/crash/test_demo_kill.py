"""Kill -9 the demo at moments drawn from what it does, start it again, and find every flight exactly once."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.base import current_random, use_random

pytestmark = [pytest.mark.extras, pytest.mark.stress, pytest.mark.timeout(300)]

DAYS, HOURS, FLIGHTS = 3, 72, 2699
# Runs the demo and dies at the n-th call of a method, before that has done anything.
VICTIM = """
import os, signal, sys
from importlib import import_module

module, owner, method, calls = sys.argv[1:5]
owner = getattr(import_module(module), owner)
original, left = getattr(owner, method), int(calls)

def dies(*args, **kwargs):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)

setattr(owner, method, dies)
from mainspring.demo.__main__ import main
sys.exit(main(sys.argv[5:]))
"""
MOMENTS = (
    ("mainspring.jobs.stores", "SqliteStore", "claim", 8),
    ("mainspring.jobs.stores", "SqliteStore", "finish", 20),  # the handler has ended, nothing is recorded
    ("mainspring.sinks", "SqlTable", "write", 20),  # inside of the transaction
    ("mainspring.jobs.stores", "SqliteStore", "step_backfill", 3),
)


def run(state: Path, *trap: str) -> "subprocess.CompletedProcess[str]":
    start = ["-c", VICTIM, *trap] if trap else ["-m", "mainspring.demo"]
    return subprocess.run(
        [sys.executable, *start, "--once", "--json", "--days", str(DAYS), "--state", str(state)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=100,
        check=False,
    )


def test_every_flight_is_there_once_after_any_number_of_kills(
    tmp_path: Path, mainspring_count: Callable[[int, int], int]
) -> None:
    killed = 0
    with use_random(2013):
        for number in range(mainspring_count(len(MOMENTS), 20)):
            module, owner, method, most = MOMENTS[number % len(MOMENTS)]
            calls = current_random().randint(1, most)
            ended = run(tmp_path, module, owner, method, str(calls))
            assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr
            killed += ended.returncode != 0
    ended = run(tmp_path)
    assert 0 == ended.returncode, ended.stderr
    report = json.loads(ended.stdout.splitlines()[-1])
    assert (HOURS, FLIGHTS, DAYS) == (report["intervals"], report["flights"], report["days"])
    assert killed >= 2
    with closing(sqlite3.connect(tmp_path / "flights.db")) as connection:
        twice = "SELECT job_id, interval_start FROM history WHERE state = 'succeeded' GROUP BY 1, 2 HAVING count(*) > 1"
        assert [] == connection.execute(twice).fetchall()
        assert [(0,)] == connection.execute("SELECT count(*) FROM run").fetchall()
