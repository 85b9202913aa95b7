"""Whatever clients ask for, an upstream that follows what it is told knows exactly what is wanted."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.transport._subscriptions import Subscriptions

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["subscribe", "unsubscribe", "drop", "tell", "restart"]),
        st.sampled_from(["one", "two", "three"]),
        st.lists(st.sampled_from(["a", "b", "c", 1, None]), max_size=3),
    ),
    max_size=30,
)


@given(steps=_STEPS)
def test_the_upstream_knows_what_is_wanted(steps: list[tuple[str, str, list[str | int | None]]]) -> None:
    subscriptions, wanted = Subscriptions[str](), dict[str, set[object]]()
    upstream: set[object] = set()
    for step, client, keys in [*steps, ("tell", "one", list[str | int | None]())]:
        own = wanted.setdefault(client, set())
        if step == "subscribe":
            subscriptions.subscribe(client, keys)
            own |= set(keys)
        elif step == "unsubscribe":
            subscriptions.unsubscribe(client, keys)
            own -= set(keys)
        elif step == "drop":
            subscriptions.drop(client)
            own.clear()
        elif step == "restart":
            changes = subscriptions.take_all()
            upstream = set() if changes is None else set(changes.added)
        elif changes := subscriptions.take_changes():
            assert not changes.added & changes.removed
            assert not changes.added & upstream
            assert changes.removed <= upstream
            upstream = (upstream | changes.added) - changes.removed
            assert changes.current == upstream
    assert set().union(*wanted.values()) == upstream == set(subscriptions.keys)
