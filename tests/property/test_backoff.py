"""What holds for every Backoff."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from mainspring.base import Backoff, use_random

_SECONDS = st.floats(0, 1e6, allow_nan=False)


@st.composite
def _backoffs(draw: st.DrawFn) -> Backoff:
    initial = draw(_SECONDS)
    return Backoff(
        initial,
        factor=draw(st.floats(1, 1e3)),
        maximum=initial + draw(_SECONDS),
        jitter=draw(st.sampled_from(("none", "full", "decorrelated"))),
        max_tries=draw(st.none() | st.integers(1, 30)),
        deadline=draw(st.none() | _SECONDS),
    )


@given(backoff=_backoffs(), seed=st.integers())
def test_delays_stay_within_their_bounds(backoff: Backoff, seed: int) -> None:
    with use_random(seed):
        delays = list(islice(backoff, 40))
    lowest = 0.0 if backoff.jitter == "full" else backoff.initial
    assert all(lowest <= delay <= backoff.maximum * (1 + 1e-12) for delay in delays)
    assert backoff.max_tries is None or len(delays) < backoff.max_tries
    assert backoff.deadline is None or sum(delays) <= backoff.deadline + 1e-6


@given(backoff=_backoffs(), attempt=st.integers(1, 10_000))
def test_the_delay_of_any_attempt_stays_within_its_bounds(backoff: Backoff, attempt: int) -> None:
    lowest = 0.0 if backoff.jitter == "full" else backoff.initial
    assert lowest <= backoff.delay(attempt) <= backoff.maximum * (1 + 1e-12)


@given(backoff=_backoffs())
def test_without_jitter_delays_never_shrink_and_need_no_history(backoff: Backoff) -> None:
    if backoff.jitter == "none":
        delays = list(islice(backoff, 40))
        assert sorted(delays) == delays
        assert [backoff.delay(attempt) for attempt in range(1, len(delays) + 1)] == delays
