"""The window counts ten whole buckets and the current one, and forgets the rest."""

import math

from mainspring.resilience._window import OutcomeWindow


def test_buckets_leave_the_window_whole() -> None:
    window = OutcomeWindow(10.0)
    for second in range(21):
        window.add(float(second), failed=second < 10)
        assert window.total == min(11, second + 1)
    assert window.failed_ratio == 0.0
    assert window.bad == 0
    assert window.since == 0.0


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
