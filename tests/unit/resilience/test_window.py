"""The window counts ten buckets, the current one among them, and forgets the rest."""

import math

from mainspring.resilience._window import OutcomeWindow


def test_buckets_leave_the_window_whole() -> None:
    window = OutcomeWindow(10.0)
    for second in range(21):
        window.add(float(second), failed=second < 10)
        assert window.total == min(10, second + 1)
    assert window.failed_ratio == 0.0
    assert window.bad == 0
    assert window.since == 0.0


def test_nothing_older_than_the_span_counts_and_nothing_within_nine_tenths_is_missed() -> None:
    for began in (0.0, 0.25, 0.9):
        for age in (8.0, 8.99, 9.0, 10.0, 10.9):
            window = OutcomeWindow(10.0)
            window.add(began, failed=True)
            window.roll(began + age)
            if age <= 9.0:
                assert (window.total, window.bad) == (1, 1)
            else:
                assert (window.total, window.bad) == (0, 0)


def test_shares_of_failed_and_slow_calls() -> None:
    window = OutcomeWindow(10.0)
    assert (window.failed_ratio, window.slow_ratio) == (0.0, 0.0)
    window.add(0.0, failed=True)
    window.add(0.5, slow=True)
    window.add(1.0, slow=True, failed=True)
    window.add(1.5)
    assert (window.failed_ratio, window.slow_ratio) == (0.5, 0.5)
    assert window.bad
    window.roll(100.0)
    assert not window.bad
    assert window.total == 0


def test_infinite_window_forgets_nothing() -> None:
    window = OutcomeWindow(math.inf)
    for second in (5.0, 1e6, 1e12):
        window.add(second, failed=True)
    assert window.total == 3
    assert window.failed_ratio == 1.0
