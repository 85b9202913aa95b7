"""Whatever befalls the nodes of a store, the promise holds; a seed that fails replays by its number."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stress.support_world import simulate_in_memory, simulate_in_sqlite

Count = Callable[[int, int], int]

_STATES = ("succeeded", "failed", "cancelled")
_KINDS = ("schedule", "backfill", "manual", "spawn")

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.timeout(7200)
def test_the_promise_holds_in_every_world(mainspring_count: Count) -> None:
    """Most worlds are in memory, each twentieth on a SQLite file; processes of their own use every core."""
    worlds = mainspring_count(1000, 5000)
    memory = worlds - worlds // 20
    parts = [("memory", 0, memory // 2), ("memory", memory // 2, memory), ("sqlite", 0, worlds // 20)]
    children = [start_worlds(*part) for part in parts]
    told = [child.communicate()[0] for child in children]
    assert [0, 0, 0] == [child.returncode for child in children], "".join(told)


def start_worlds(store: str, first: int, end: int) -> subprocess.Popen[str]:
    """Start a child that runs worlds; it is not traced, since the tests beside it show what runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment["PYTHONHASHSEED"] = "0"  # the order of sets is part of the story
    command = [sys.executable, "-m", "tests.stress", store, str(first), str(end)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_world_on_a_file_is_like_one_in_memory(tmp_path: Path) -> None:
    assert [] == simulate_in_sqlite(0, tmp_path).problems


def test_a_seed_tells_the_same_story_again() -> None:
    """Whatever lay in memory before: nothing may go by where an object lies, or when the collector looks."""
    for seed in range(3):
        told = simulate_in_memory(seed).records
        litter = [bytearray(40 + number % 500) for number in range(10_000)]
        del litter[:: 2 + seed]
        assert told == simulate_in_memory(seed).records, f"seed {seed}, beside {len(litter)} pieces"


def test_there_is_trouble_enough() -> None:
    """A world in which nothing happens would prove nothing."""
    missing = {*_STATES, *_KINDS, "a rescue", "a second attempt", "a second generation"}
    for seed in range(100):  # what is rarest, a reprocess, happens in one of four
        for record in simulate_in_memory(seed).records:
            missing -= {record.state.value, record.kind.value}
            missing -= {"a rescue"} if record.rescues else set()
            missing -= {"a second attempt"} if record.attempt > 1 else set()
            missing -= {"a second generation"} if record.generation > 1 else set()
        if not missing:
            break
    assert not missing
