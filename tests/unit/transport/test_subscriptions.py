"""What the upstream is told is what anybody wants, and nothing that came and went meanwhile."""

from mainspring.transport._subscriptions import Changes, Subscriptions


def _told(subscriptions: Subscriptions[str]) -> tuple[set[object], set[object], set[object]] | None:
    changes = subscriptions.take_changes()
    return None if changes is None else (set(changes.current), set(changes.added), set(changes.removed))


def test_a_key_is_told_when_the_first_wants_it_and_when_the_last_does_not() -> None:
    subscriptions = Subscriptions[str]()
    subscriptions.subscribe("one", ["a", "b"])
    assert ({"a", "b"}, {"a", "b"}, set()) == _told(subscriptions)
    subscriptions.subscribe("two", ["a"])
    assert _told(subscriptions) is None
    subscriptions.unsubscribe("one", ["a"])
    assert _told(subscriptions) is None
    assert {"two"} == subscriptions.clients_of("a")
    subscriptions.unsubscribe("two", ["a"])
    assert ({"b"}, set(), {"a"}) == _told(subscriptions)


def test_opposite_wishes_cancel_each_other_before_they_are_told() -> None:
    subscriptions = Subscriptions[str]()
    subscriptions.subscribe("one", ["a"])
    subscriptions.unsubscribe("one", ["a"])
    assert not subscriptions.has_changes
    subscriptions.subscribe("one", ["a"])
    assert _told(subscriptions) is not None
    subscriptions.unsubscribe("one", ["a"])
    subscriptions.subscribe("two", ["a"])
    assert _told(subscriptions) is None


def test_what_was_never_wanted_is_ignored() -> None:
    subscriptions = Subscriptions[str]()
    subscriptions.unsubscribe("one", ["a"])
    subscriptions.subscribe("two", ["a"])
    subscriptions.unsubscribe("one", ["a"])
    subscriptions.unsubscribe_all("one")
    assert {"two"} == subscriptions.clients_of("a")


def test_a_client_that_is_gone_is_gone_everywhere() -> None:
    subscriptions = Subscriptions[str]()
    subscriptions.subscribe("one", ["a", "b"])
    subscriptions.subscribe_all("one")
    subscriptions.take_changes()
    subscriptions.drop("one")
    assert (set(), set(), {"a", "b"}) == _told(subscriptions)
    assert ([], set()) == (list(subscriptions.everything), subscriptions.keys_of("one"))
    assert "clients=0 keys=0 all=0" in repr(subscriptions)


def test_a_new_upstream_is_told_everything_once() -> None:
    subscriptions = Subscriptions[str]()
    assert subscriptions.take_all() is None
    subscriptions.subscribe("one", ["a"])
    subscriptions.take_changes()
    subscriptions.subscribe("one", ["b"])
    assert Changes(frozenset("ab"), frozenset("ab"), frozenset()) == subscriptions.take_all()
    assert not subscriptions.has_changes


def test_who_wants_everything_is_known() -> None:
    subscriptions = Subscriptions[str]()
    subscriptions.subscribe_all("one")
    assert subscriptions.wants_everything("one")
    subscriptions.unsubscribe_all("one")
    assert not subscriptions.wants_everything("one")
