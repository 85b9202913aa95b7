"""Repeated alerts are held back for a while, and counted."""

from mainspring.tools._notify_repeats import Repeats


def test_repetitions_are_held_back_and_counted() -> None:
    repeats = Repeats(10.0)
    assert [0, None, None, 2, None] == [repeats.admit("a", now) for now in (0.0, 5.0, 9.9, 10.0, 11.0)]
    assert 0 == repeats.admit("b", 11.0)


def test_nothing_is_held_back_without_a_time() -> None:
    assert [0, 0] == [Repeats(0.0).admit("a", now) for now in (0.0, 0.0)]


def test_what_did_not_get_through_is_sent_again() -> None:
    repeats = Repeats(10.0)
    repeats.admit("a", 0.0)
    repeats.forget("a", 0)
    assert 0 == repeats.admit("a", 1.0)
    assert [None, 1] == [repeats.admit("a", now) for now in (2.0, 11.0)]
    assert None is repeats.admit("a", 12.0)
    repeats.forget("a", 1)
    assert 2 == repeats.admit("a", 13.0)
    repeats.forget("never seen", 1)


def test_the_memory_is_bounded() -> None:
    repeats = Repeats(1e9)
    for number in range(3000):
        repeats.admit(number, 0.0)
    assert [0, None] == [repeats.admit(number, 1.0) for number in (0, 2999)]
