"""The kernels of the limiters count what they are told, at the instants they are told."""

import math

from tests.unit.resilience.support_time import VirtualTime

from mainspring.base import use_clock
from mainspring.resilience._limit_kernels import AlignedWindow, CombinedKernel, Kernel, PacedKernel, SlidingLog


def admitted(kernel: Kernel, instants: list[float], cost: int = 1) -> list[float]:
    """Return at which instants a cost was admitted."""
    took: list[float] = []
    for now in instants:
        if kernel.fits_at(cost, now) <= now:
            kernel.record(cost, now)
            took.append(now)
    return took


def test_sliding_log_forgets_an_event_exactly_after_the_period() -> None:
    log = SlidingLog(2, 10.0)
    assert [0.0, 4.0, 10.0, 14.0] == admitted(log, [0.0, 4.0, 5.0, 9.999, 10.0, 13.0, 14.0])
    assert 20.0 == log.fits_at(1, 15.0)
    assert 24.0 == log.fits_at(2, 15.0)


def test_sliding_log_takes_back_only_what_is_still_there() -> None:
    log = SlidingLog(3, 10.0)
    log.record(2, 1.0)
    log.take_back(3, 1.0)
    log.take_back(1, 5.0)
    assert 0 == log.used(1.0)


def test_pace_is_even_and_saves_up_to_the_burst() -> None:
    paced = PacedKernel(10, 1.0, 3)
    assert [0.0, 0.0, 0.0, 0.1, 0.2, 5.0, 5.0, 5.0] == admitted(
        paced, [0.0, 0.0, 0.0, 0.0, 0.05, 0.1, 0.199, 0.2, 5.0, 5.0, 5.0, 5.0]
    )


def test_pace_does_not_drift_by_rounding() -> None:
    paced = PacedKernel(7, 1.0, 1)
    at = 12345.678
    for _ in range(7000):
        at = max(at, paced.fits_at(1, at))
        paced.record(1, at)
    assert math.isclose(at, 12345.678 + 6999 / 7, abs_tol=7000e-9)
    assert at >= 12345.678 + 6999 / 7 - 1e-6


def test_pace_is_taken_back_unless_somebody_came_later() -> None:
    paced = PacedKernel(1, 1.0, 2)
    paced.record(1, 5.0)
    paced.record(1, 5.0)
    paced.take_back(1, 5.0)
    assert 1 == paced.used(5.0)
    paced.record(1, 9.0)
    paced.take_back(1, 5.0)
    assert 1 == paced.used(9.0)


def test_aligned_window_starts_anew_at_full_periods() -> None:
    window = AlignedWindow(2, 60.0)
    assert [59.0, 59.5, 60.0, 60.0, 120.0] == admitted(window, [59.0, 59.5, 59.9, 60.0, 60.0, 119.99, 120.0])


def test_aligned_window_goes_on_counting_when_the_clock_is_set_back() -> None:
    window = AlignedWindow(2, 60.0)
    window.record(2, 3600.0)
    assert 120.0 == window.fits_at(1, 61.0)
    assert 2 == window.used(61.0)
    assert window.fits_at(2, 120.0) <= 120.0


def test_aligned_window_takes_back_within_its_window_only() -> None:
    window = AlignedWindow(2, 60.0)
    window.record(2, 59.0)
    window.take_back(1, 59.0)
    assert 1 == window.used(59.5)
    window.record(1, 60.0)
    window.take_back(2, 59.0)
    assert 1 == window.used(60.0)
    assert 0 == window.used(120.0)


def test_aligned_windows_of_any_length_follow_each_other() -> None:
    """Also where a multiple of the period is no float."""
    window = AlignedWindow(1, 0.1)
    now = 1356998400.05
    for _ in range(1000):
        due = window.fits_at(1, now)
        now = max(now, due)
        assert window.fits_at(1, now) <= now
        window.record(1, now)
        assert now < window.end <= now + 0.1 + 1e-6


def test_copies_plan_without_touching_the_original() -> None:
    for kernel in (SlidingLog(1, 9.0), PacedKernel(1, 9.0, 1), AlignedWindow(1, 9.0)):
        kernel.record(1, 1.0)
        for each in (kernel, CombinedKernel([kernel])):
            twin = each.copy()
            twin.record(1, 20.0)
            assert each.fits_at(1, 21.0) <= 21.0 < twin.fits_at(1, 21.0)


def test_combination_waits_for_the_last_of_its_parts() -> None:
    with use_clock(VirtualTime(100.0)):
        combined = CombinedKernel([SlidingLog(5, 10.0), AlignedWindow(2, 60.0), PacedKernel(1, 7.0, 3)])
        now = combined.now()
        assert (2, 0) == (combined.limit, combined.used(now))
        combined.record(2, now)
        assert 2 == combined.used(now)
        assert 120.0 == combined.fits_at(1, now)
        combined.take_back(2, now)
        assert 0 == combined.used(now)
