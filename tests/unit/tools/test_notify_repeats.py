"""Repeated alerts are held back for a while, and counted."""

from mainspring.tools._notify_repeats import Repeats


def test_repetitions_are_held_back_and_counted() -> None:
    repeats = Repeats(10.0)
    assert [0, None, None, 2, None] == [repeats.admit("a", 1, now) for now in (0.0, 5.0, 9.9, 10.0, 11.0)]
    assert 0 == repeats.admit("b", 1, 11.0)


def test_nothing_is_held_back_without_a_time() -> None:
    assert [0, 0] == [Repeats(0.0).admit("a", 1, now) for now in (0.0, 0.0)]


def test_what_did_not_get_through_is_sent_again() -> None:
    repeats = Repeats(10.0)
    repeats.admit("a", 1, 0.0)
    repeats.forget("a", 1, 0)
    assert 0 == repeats.admit("a", 1, 1.0)
    assert [None, 1] == [repeats.admit("a", 1, now) for now in (2.0, 11.0)]
    assert None is repeats.admit("a", 1, 12.0)
    repeats.forget("a", 1, 1)
    assert 2 == repeats.admit("a", 1, 13.0)
    repeats.forget("never seen", 1, 1)


def test_each_bot_has_its_own_repetitions() -> None:
    repeats = Repeats(10.0)
    assert [0, 0, None] == [repeats.admit("a", bot, 0.0) for bot in (1, 2, 2)]
    repeats.forget("a", 1, 0)
    assert [0, None] == [repeats.admit("a", bot, 1.0) for bot in (1, 2)]


def test_the_memory_is_bounded_by_alerts_however_many_bots_they_go_to() -> None:
    repeats = Repeats(1e9)
    for number in range(3000):
        for bot in range(5):
            repeats.admit(number, bot, 0.0)
    assert [None, None] == [repeats.admit(number, 4, 1.0) for number in (2000, 2999)]
    assert 0 == repeats.admit(1999, 4, 1.0)
