"""The table of transitions is complete and terminal states are never left."""

import pytest

from mainspring.jobs.model import TRANSITIONS, RunState


def test_every_state_has_a_row() -> None:
    assert set(RunState) == set(TRANSITIONS)


@pytest.mark.parametrize("state", list(RunState))
def test_a_state_without_a_way_out_is_terminal(state: RunState) -> None:
    assert state.terminal is (not TRANSITIONS[state])


def test_a_run_ends_only_in_one_of_four_states() -> None:
    ends = {state for state in RunState if state.terminal}
    assert {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED} == ends
