"""Backoff describes delays; its properties over all parameters are in tests/property."""

import pickle
from itertools import islice
from typing import Any

import pytest

from mainspring.base import Backoff, SystemClock, use_clock, use_random
from mainspring.errors import InvalidArgumentError


class _Clock(SystemClock):
    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


def test_delays_grow_to_the_maximum_and_end_before_the_last_try() -> None:
    assert list(Backoff(1, factor=3, maximum=4, max_tries=4)) == [1.0, 3.0, 4.0]


def test_without_a_limit_the_delays_go_on() -> None:
    assert list(islice(Backoff(), 3)) == [0.5, 1.0, 2.0]


def test_one_try_has_no_delay() -> None:
    assert list(Backoff(max_tries=1)) == []


def test_constant_has_one_delay_also_above_the_usual_maximum() -> None:
    assert list(Backoff.constant(60, max_tries=3)) == [60.0, 60.0]


def test_deadline_ends_the_delays_by_their_sum_when_no_time_passes() -> None:
    with use_clock(_Clock()):
        assert list(Backoff(1, deadline=6.9)) == [1.0, 2.0]


def test_deadline_counts_the_time_of_the_attempts() -> None:
    clock = _Clock()
    with use_clock(clock):
        delays = Backoff.constant(1).delays()
        limited = Backoff(1, factor=1, deadline=10).delays()
        assert 1.0 == next(limited) == next(delays)
        clock.seconds += 9.5
        assert list(limited) == []


def test_delay_of_an_attempt_needs_no_history() -> None:
    backoff = Backoff(1, maximum=100)
    assert [backoff.delay(attempt) for attempt in (1, 2, 3, 5000)] == [1.0, 2.0, 4.0, 100.0]
    assert Backoff(0).delay(5000) == 0.0


@pytest.mark.parametrize("jitter", ["full", "decorrelated"])
def test_jitter_is_drawn_from_the_house_source(jitter: Any) -> None:
    def draw() -> list[float]:
        with use_random(11):
            backoff = Backoff(1, jitter=jitter)
            return [*islice(backoff, 5), backoff.delay(3)]

    assert draw() == draw()
    assert len(set(draw())) == 6


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("initial", {"initial": -1}),
        ("initial", {"initial": float("nan")}),
        ("initial", {"initial": "1"}),
        ("factor", {"factor": 0.5}),
        ("maximum", {"initial": 60}),
        ("jitter", {"jitter": "some"}),
        ("max_tries", {"max_tries": 0}),
        ("max_tries", {"max_tries": 1.5}),
        ("deadline", {"deadline": -1}),
    ],
)
def test_arguments_outside_their_range_are_named(argument: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Backoff(**arguments)
    assert argument == vars(caught.value)["argument"]


def test_negative_constant_and_attempt_zero_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="delay=-1"):
        Backoff.constant(-1)
    with pytest.raises(InvalidArgumentError, match="attempt=0"):
        Backoff().delay(0)


def test_it_is_a_value_that_survives_pickle() -> None:
    backoff = Backoff(2, jitter="full", max_tries=3, deadline=9)
    assert backoff == pickle.loads(pickle.dumps(backoff))
    assert len({backoff, Backoff(2, jitter="full", max_tries=3, deadline=9)}) == 1
