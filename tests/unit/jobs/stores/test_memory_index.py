from hypothesis import given
from hypothesis import strategies as st

from mainspring.jobs.stores._memory_index import ParkedRuns, ReadyRuns, RunHeap

STEPS = st.lists(st.tuples(st.sampled_from(["add", "discard", "pop"]), st.integers(0, 9), st.integers(0, 5)))


@given(STEPS)
def test_a_heap_is_a_sorted_dict(steps: list[tuple[str, int, int]]) -> None:
    heap = RunHeap()
    orders: dict[str, tuple[int, ...]] = {}
    for what, number, order in steps:
        run_id = str(number)
        if what == "add" and run_id not in orders:
            heap.add(run_id, (order,))
            orders[run_id] = (order,)
        elif what == "discard":
            heap.discard(run_id)
            orders.pop(run_id, None)
        elif what == "pop" and orders:
            first = min((one, key) for key, one in orders.items())[1]
            assert heap.pop() == first
            del orders[first]
        assert len(heap) == len(orders)
        assert heap.first_order() == min(orders.values(), default=None)


def test_runs_that_left_take_no_room() -> None:
    heap = RunHeap()
    heap.add("stays", (0,))
    for number in range(1000):
        heap.add("goes", (number,))
        heap.discard("goes")
    assert len(heap._heap) < 100
    assert heap.pop() == "stays"


def test_the_queues_heads_are_taken_in_turn() -> None:
    ready = ReadyRuns()
    for number, job_id in enumerate(["a", "a", "a", "b", "c", "c"]):
        ready.add("q", 0, job_id, f"{job_id}{number}", number)
    assert list(ready.jobs_behind("q", 0, "a")) == ["b", "c", "a"]
    assert ready.take_in_turn("q", 0, ["b", "c", "a"], 5) == ["b3", "c4", "a0", "c5", "a1"]
    assert list(ready.jobs_behind("q", 0, "")) == ["a"]
    assert ready.take_in_turn("q", 0, ["a"], 5) == ["a2"]
    assert ready.take_in_turn("q", 0, [], 5) == []
    assert ready.ranks(["q"]) == []


def test_ranks_are_those_that_have_runs_smallest_first() -> None:
    ready = ReadyRuns()
    ready.add("q", 3, "a", "1", 0)
    ready.add("p", -1, "a", "2", 0)
    ready.add("q", 7, "a", "3", 0)
    assert ready.ranks(["q", "p", "q", "none"]) == [(-1, "p"), (3, "q"), (7, "q")]
    assert [ready.any_before("q", rank) for rank in (2, 3, 8)] == [False, True, True]
    ready.discard("q", 3, "a", "1")
    assert ready.ranks(["q"]) == [(7, "q")]


def test_every_job_that_waits_for_a_key_gets_its_share() -> None:
    parked = ParkedRuns()
    for number in range(3):
        parked.add("k", "a", f"a{number}", (0, number))
        parked.add("k", "b", f"b{number}", (-(number == 2), number))
    assert parked.take("k", 1) == ["a0", "b2"]
    assert sorted(parked.take("k", 9)) == ["a1", "a2", "b0", "b1"]
    assert parked.take("k", 9) == []
