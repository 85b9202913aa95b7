"""Whatever befalls the nodes of a store, the promise holds; a seed that fails replays by its number."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stress.support_world import Story, simulate_in_memory, simulate_in_sqlite

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


def start_worlds(store: str, first: int, end: int, *options: str, hash_seed: int = 0) -> subprocess.Popen[str]:
    """Start a child that runs worlds; it is not traced, since the tests beside it show what runs.

    A number tells one story under every `hash_seed`, or else finds a set whose order matters.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment["PYTHONHASHSEED"] = str(hash_seed)
    command = [sys.executable, "-m", "tests.stress", store, str(first), str(end), *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(("store", "seeds"), [("memory", range(17, 20)), ("sqlite", range(5, 7))])
def test_a_seed_tells_the_same_story_again(store: str, seeds: range, tmp_path: Path) -> None:
    """Each fault, each answer, each event and each record, whatever lay in memory before, and in any other process.

    So nothing goes by where an object lies, when the collector looks, who the process is or how it orders its sets.
    """
    with start_worlds(store, seeds.start, seeds.stop, "--digest", hash_seed=1) as child:
        told = [simulate_on(store, seed, tmp_path / "first") for seed in seeds]
        litter = [bytearray(40 + number % 500) for number in range(10_000)]
        del litter[::3]
        again = simulate_on(store, seeds[-1], tmp_path / "again")
        elsewhere = child.communicate()[0].split()
    assert (told[-1].trace, told[-1].events, told[-1].records) == (again.trace, again.events, again.records)
    assert [] == [problem for story in told for problem in story.problems]
    digests = [story.digest() for story in told]
    assert digests == elsewhere
    assert len(seeds) == len(set(digests))
    befallen = {what for story in told for _, what in story.trace if isinstance(what, str)}
    assert befallen >= {"slow", "refused", "lost", "killed", "cut", "out of reach"}


def simulate_on(store: str, seed: int, folder: Path) -> Story:
    folder.mkdir(exist_ok=True)
    return simulate_in_memory(seed) if store == "memory" else simulate_in_sqlite(seed, folder)


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
