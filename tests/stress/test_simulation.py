"""Whatever befalls the nodes of a store, the promise holds; a seed that fails replays by its number."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.stress.support_world import simulate_in_memory, simulate_in_sqlite

Count = Callable[[int, int], int]

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.mark.stress
@pytest.mark.timeout(7200)
def test_the_promise_holds_in_memory(mainspring_count: Count) -> None:
    for seed in range(mainspring_count(25, 10_000)):
        assert simulate_in_memory(seed).problems == [], f"seed {seed}"


@pytest.mark.stress
@pytest.mark.timeout(7200)
def test_the_promise_holds_in_sqlite(tmp_path: Path, mainspring_count: Count) -> None:
    for seed in range(mainspring_count(4, 1000)):
        assert simulate_in_sqlite(seed, tmp_path).problems == [], f"seed {seed}"


def test_a_seed_tells_the_same_story_again() -> None:
    one, two = simulate_in_memory(7), simulate_in_memory(7)
    assert one.records == two.records


def test_there_is_trouble_enough() -> None:
    """A world in which nothing happens would prove nothing."""
    records = [record for seed in range(5) for record in simulate_in_memory(seed).records]
    states = Counter(record.state.value for record in records)
    assert min(states[state] for state in ("succeeded", "failed", "cancelled")) > 0
    assert sum(record.rescues > 0 for record in records) > 0
    assert sum(record.attempt > 1 for record in records) > 0
    assert sum(record.generation > 1 for record in records) > 0
    assert {record.kind.value for record in records} == {"schedule", "backfill", "manual"}
