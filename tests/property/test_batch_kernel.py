"""Whatever comes and however often the clock is read, batches keep order, bounds and every item."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.base import BatchKernel

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.integers(0, 20)),
        st.tuples(st.just("cut"), st.just(0)),
    ),
    max_size=80,
)


@given(
    steps=_STEPS,
    max_count=st.integers(1, 6),
    max_bytes=st.none() | st.integers(1, 30),
    max_seconds=st.none() | st.integers(0, 25),
)
def test_batches_are_the_items_in_order_within_every_bound(
    steps: list[tuple[str, int]], max_count: int, max_bytes: int | None, max_seconds: int | None
) -> None:
    kernel = BatchKernel[tuple[int, int, int]](max_count=max_count, max_bytes=max_bytes, max_seconds=max_seconds)
    now = 0
    added: list[tuple[int, int, int]] = []
    batches: list[tuple[int, list[tuple[int, int, int]]]] = []
    for action, value in steps:
        if action == "add":
            item = (len(added), value, now)
            added.append(item)
            batches += [(now, batch) for batch in kernel.add(item, now=now, size=value)]
        elif action == "cut":
            batches += [(now, batch) for batch in kernel.cut()]
        else:
            end = now + value
            if kernel.due_at is not None and kernel.due_at <= end:
                now = max(now, int(kernel.due_at))
                batches += [(now, batch) for batch in kernel.poll(now)]
            now = end
    batches += [(now, batch) for batch in kernel.cut()]
    assert added == [item for _, batch in batches for item in batch]
    for cut_at, batch in batches:
        assert 1 <= len(batch) <= max_count
        if max_bytes is not None and len(batch) > 1:
            assert sum(size for _, size, _ in batch) <= max_bytes
        if max_seconds is not None:
            assert cut_at - batch[0][2] <= max_seconds
    assert kernel.due_at is None
