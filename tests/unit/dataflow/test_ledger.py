"""What is done is counted in order, and only when nothing holds it any more."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.dataflow._ledger import Ledger


def test_a_message_is_done_when_its_last_hold_is_released() -> None:
    said: list[int] = []
    ledger = Ledger(said.append)
    token = ledger.open()
    token.holds += 1
    token.release()
    assert [] == said
    token.release()
    assert [1] == said
    assert 0 == ledger.open_count


def test_what_is_done_out_of_order_waits_for_the_first() -> None:
    said: list[int] = []
    ledger = Ledger(said.append)
    first, second, third = ledger.open(), ledger.open(), ledger.open()
    third.release()
    second.release()
    assert [] == said
    first.release()
    assert [3] == said


@given(st.permutations(range(20)))
def test_the_count_is_the_longest_run_of_done_messages_from_the_first(order: list[int]) -> None:
    said: list[int] = []
    ledger = Ledger(said.append)
    tokens = [ledger.open() for _ in order]
    done: set[int] = set()
    for index in order:
        tokens[index].release()
        done.add(index)
        expected = next((n for n in range(len(order)) if n not in done), len(order))
        assert expected == ledger.done_count
    assert sorted(set(said)) == said
