"""The wheel against a plain list."""

import heapq
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.concurrency._wheel import Wheel

WIDTH = 0.5
moments = st.floats(0, 40, allow_nan=False).map(lambda moment: round(moment, 3))
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 20), moments),
    st.tuples(st.just("discard"), st.integers(0, 20), moments),
    st.tuples(st.just("pop"), st.just(0), moments),
)


@settings(max_examples=300)
@given(st.lists(steps, max_size=60))
def test_nothing_is_lost_early_or_out_of_order(script: list[tuple[str, int, float]]) -> None:
    wheel: Wheel[int] = Wheel(WIDTH)
    model: dict[int, float] = {}
    for action, entry, moment in script:
        if action == "add" and entry not in model:
            wheel.add(entry, moment)
            model[entry] = moment
        elif action == "discard":
            wheel.discard(entry, model.pop(entry, moment))
        elif action == "pop":
            due = wheel.pop_due(moment)
            assert sorted(one for one, at in model.items() if at <= moment) == sorted(due)
            assert due == sorted(due, key=lambda one: model[one])
            for one in due:
                del model[one]
        assert len(model) == len(wheel)
        check_next(wheel, model)


def check_next(wheel: Wheel[int], model: dict[int, float]) -> None:
    """The next look is for the whole earliest slot: never before the earliest entry, never a width after it."""
    found = wheel.next_due()
    if not model:
        assert found is None
        return
    earliest = min(model.values())
    assert found is not None
    assert found == max(at for at in model.values() if at // WIDTH == earliest // WIDTH)
    assert earliest <= found < earliest + WIDTH


def test_looking_at_the_next_due_time_always_finds_something() -> None:
    wheel: Wheel[int] = Wheel(0.1)
    for number in range(1000):
        wheel.add(number, number * 0.07)
    taken: list[int] = []
    while (due := wheel.next_due()) is not None:
        found = wheel.pop_due(due)
        assert found
        taken += found
    assert list(range(1000)) == taken


def test_slots_that_come_and_go_leave_no_numbers_behind() -> None:
    wheel: Wheel[str] = Wheel(0.1)
    wheel.add("stays", 1e6)
    for number in range(10_000):
        wheel.add("goes", float(number))
        wheel.discard("goes", float(number))
    heap: Any = wheel._heap
    assert len(heap) < 100
    assert heap[0] == min(heap)
    assert heap == sorted(heap) or heapq.nsmallest(1, heap) == heap[:1]
    assert ["stays"] == wheel.pop_due(1e6)
    wheel.discard("never", 3.0)
