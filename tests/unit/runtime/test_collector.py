"""A program may ask for a lazier garbage collector while it runs; it gets it for that time and no longer."""

import json
import os
import subprocess
import sys

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import Entrypoint

PROGRAM = """
import asyncio, gc, json
from mainspring import entrypoint, run

found = {}

def note(name):
    found[name] = [gc.get_threshold(), gc.get_freeze_count() > 0]

async def main(name):
    note(name)

async def outer():
    async with entrypoint(log_config=False, catch_signals=(), gc_threshold=9_000):
        note("inner")
    note("outer again")
    async with entrypoint(log_config=False, catch_signals=()):
        note("inner without a wish")

gc.set_threshold(600, 7, 8)
run(main("by variable"), log_config=False)
run(main("refused"), log_config=False, gc_threshold=0)
run(outer(), log_config=False, gc_threshold=20_000)
note("after")
print(json.dumps(found))
"""


def test_the_collector_is_as_the_program_wants_it_until_its_end() -> None:
    """In a process of its own: the collector searches all that lives there when such a program starts."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "MAINSPRING_GC_THRESHOLD": "5000"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert {
        "by variable": [[5_000, 7, 8], True],
        "refused": [[600, 7, 8], False],
        "inner": [[9_000, 7, 8], True],
        "outer again": [[20_000, 7, 8], True],
        "inner without a wish": [[5_000, 7, 8], True],
        "after": [[600, 7, 8], False],
    } == json.loads(ended.stdout)


def test_a_threshold_below_zero_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="gc_threshold"):
        Entrypoint(log_config=False, gc_threshold=-1)
