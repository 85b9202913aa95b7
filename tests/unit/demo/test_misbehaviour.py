"""The API's misbehaviour: decided by the seed, bounded by the rate."""

import pytest

from mainspring.base import use_random
from mainspring.demo._misbehaviour import RATE, Misbehaviour, Verdict


def make(seed: int = 2013) -> Misbehaviour:
    with use_random(seed):
        return Misbehaviour()


def test_a_seed_decides_everything() -> None:
    first, second = make(), make()
    assert [first.judge(index / 100) for index in range(6_000)] == [second.judge(index / 100) for index in range(6_000)]
    assert first.counts == second.counts


def test_at_least_three_percent_fail_and_some_are_slow() -> None:
    api = make()
    verdicts = [api.judge(index / 100) for index in range(9_000)]
    assert 0.03 <= api.counts[500] / len(verdicts)
    assert any(verdict.delay > 0 for verdict in verdicts)


def test_requests_above_the_rate_are_refused_until_the_second_is_over() -> None:
    api = make()
    for _ in range(RATE):
        api.judge(10.0)
    assert Verdict(429, retry_after=0.75) == api.judge(10.25)
    assert 429 != api.judge(11.0).status


def test_it_is_down_once_for_three_seconds() -> None:
    api = make()
    times = [index / 100 for index in range(9_000)]
    down = [now for now in times if api.judge(now).status == 503]
    assert 2.9 <= down[-1] - down[0] <= 3.0
    assert len(down) == api.counts[503]


def test_the_minimum_counts_what_was_answered_and_the_time_down() -> None:
    api = make()
    assert 0.0 == api.minimum_seconds
    for index in range(9_000):
        api.judge(index / 100)
    assert (api.counts[200] + api.counts[500]) / RATE + 0.9 + 3.0 == pytest.approx(api.minimum_seconds)


@pytest.mark.parametrize("per_second", [30, 100, 199, 205])
def test_a_client_of_any_speed_is_refused_and_sees_the_outage(per_second: int) -> None:
    """So that the figures of a year are above zero on any machine."""
    api = make()
    for index in range(9_000):
        api.judge(index / per_second)
    assert min(api.counts[429], api.counts[500], api.counts[503]) > 0
