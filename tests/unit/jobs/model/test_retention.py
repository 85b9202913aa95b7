"""Bounds of the history."""

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model import Keep, Retention, RunState


def test_each_terminal_state_has_its_bounds() -> None:
    retention = Retention(failed=Keep(age=60.0))
    assert Keep(age=60.0) == retention.of(RunState.FAILED)
    assert {Keep(count=100_000)} == {retention.of(one) for one in RunState if one.terminal} - {Keep(age=60.0)}


@pytest.mark.parametrize("bounds", [{"count": -1}, {"age": -0.1}, {"age": float("nan")}])
def test_bounds_below_nothing_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError):
        Keep(**bounds)  # type: ignore[arg-type]
