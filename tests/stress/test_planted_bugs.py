"""The simulation is worth something: every bug that is planted is found, whichever seed it takes."""

import pytest
from tests.stress.support_planted import PLANTS, Plant
from tests.stress.support_world import simulate_in_memory

SEEDS = 1000


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(simulate_in_memory(seed).problems for seed in range(SEEDS))
