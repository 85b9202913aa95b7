"""The way to one worker keeps order, loses nothing unless told to, and tells when it is full."""

import asyncio

import pytest

from mainspring.base import FrameDecoder
from mainspring.dataflow import Edge, Outbound
from mainspring.dataflow._ledger import Ledger, current_token
from mainspring.errors import EncodeError, FrameTooLargeError


class Wire:
    """Keeps what was written."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self.got: list[str] = []

    def write(self, data: bytes) -> None:
        self.got += [bytes(payload).decode() for payload in self._decoder.feed(data)]


async def turn() -> None:
    await asyncio.sleep(0)


async def test_messages_go_out_in_order_at_the_end_of_the_turn() -> None:
    wire, outbound = Wire(), Outbound()
    outbound.attach(wire)
    for number in range(3):
        outbound.send(number)
    assert [] == wire.got
    await turn()
    assert ["0", "1", "2"] == wire.got
    assert (3, 3, 3) == (outbound.sent_count, outbound.sent_bytes, outbound.load)


async def test_a_filter_is_asked_before_a_message_is_encoded() -> None:
    wire, outbound = Wire(), Outbound(accepts=lambda x: isinstance(x, int))
    outbound.attach(wire)
    assert not outbound.send(object)
    assert outbound.send(1)
    outbound.send_always(2)
    outbound.send_encoded(b"[3]")
    await turn()
    assert ["1", "2", "[3]"] == wire.got


async def test_what_cannot_be_encoded_or_is_too_long_is_refused() -> None:
    outbound = Outbound()
    with pytest.raises(EncodeError):
        outbound.send(object())
    with pytest.raises(FrameTooLargeError):
        outbound.send_encoded(bytes((16 << 20) + 1))
    assert 0 == outbound.load


async def test_the_window_bounds_what_is_in_flight() -> None:
    wire, outbound = Wire(), Outbound(edge=Edge(max_in_flight=2))
    outbound.attach(wire)
    for number in range(5):
        outbound.send(number)
    await turn()
    assert ["0", "1"] == wire.got
    outbound.acknowledge(1)
    assert ["0", "1", "2"] == wire.got
    outbound.acknowledge(3)
    assert ["0", "1", "2", "3", "4"] == wire.got


async def test_what_was_not_acknowledged_is_sent_again_in_order_to_the_next_worker() -> None:
    outbound, first, second = Outbound(edge=Edge(max_in_flight=3)), Wire(), Wire()
    outbound.attach(first)
    for number in range(5):
        outbound.send(number)
    await turn()
    outbound.acknowledge(1)
    outbound.detach()
    outbound.send(5)
    await turn()
    assert ["0", "1", "2", "3"] == first.got
    outbound.attach(second)
    assert ["1", "2", "3"] == second.got
    outbound.acknowledge(3)
    assert ["1", "2", "3", "4", "5"] == second.got
    assert (3, 4, 0) == (outbound.redelivered_count, outbound.acknowledged_count, outbound.lost_count)


async def test_at_most_once_drops_and_counts_what_a_dead_worker_had() -> None:
    done: list[int] = []
    ledger = Ledger(done.append)
    outbound, first, second = Outbound(redelivers=False), Wire(), Wire()
    outbound.attach(first)
    token = ledger.open()
    current_token.set(token)
    outbound.send(0)
    current_token.set(None)
    token.release()
    await turn()
    outbound.detach()
    assert [1] == done
    outbound.send(1)
    outbound.attach(second)
    assert ["1"] == second.got
    assert (1, 0) == (outbound.lost_count, outbound.redelivered_count)


async def test_at_most_once_repeats_nothing_when_the_new_worker_comes_before_the_end_of_the_old_one_is_heard() -> None:
    outbound, first, second = Outbound(redelivers=False), Wire(), Wire()
    outbound.attach(first)
    outbound.send(0)
    await turn()
    outbound.attach(second)
    assert ([], 1, 0) == (second.got, outbound.lost_count, outbound.load)


async def test_the_message_that_is_worked_on_is_held_until_what_came_of_it_is_acknowledged() -> None:
    done: list[int] = []
    ledger = Ledger(done.append)
    outbound = Outbound()
    outbound.attach(Wire())
    token = ledger.open()
    current_token.set(token)
    outbound.send("a")
    outbound.send("b")
    token.release()
    await turn()
    outbound.acknowledge(1)
    assert [] == done
    outbound.acknowledge(2)
    assert [1] == done


@pytest.mark.parametrize(("overflow", "kept"), [("drop-oldest", ["2", "3"]), ("drop-newest", ["0", "1"])])
async def test_a_full_way_drops_and_counts_if_its_edge_says_so(overflow: str, kept: list[str]) -> None:
    edge = Edge(overflow=overflow, max_waiting=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # one of them
    done: list[int] = []
    ledger, outbound, wire, full = Ledger(done.append), Outbound(edge=edge), Wire(), list[Outbound]()
    outbound.on_full = full.append
    for number in range(4):
        token = ledger.open()
        current_token.set(token)
        outbound.send(number)
        token.release()
    outbound.attach(wire)
    assert kept == wire.got
    outbound.acknowledge(2)
    assert 4 == done[-1]
    assert 2 == outbound.dropped_count
    assert [] == full


async def test_full_is_told_once_and_room_when_there_is_some() -> None:
    told: list[str] = []
    outbound = Outbound(edge=Edge(max_waiting=2, max_in_flight=1))
    outbound.on_full = lambda _: told.append("full")
    outbound.on_room = lambda _: told.append("room")
    for number in range(4):
        outbound.send(number)
    assert (True, False) == (outbound.is_full, outbound.is_attached)
    assert ["full"] == told
    outbound.attach(Wire())
    outbound.acknowledge(1)
    assert ["full"] == told
    outbound.acknowledge(2)
    assert (False, True) == (outbound.is_full, outbound.is_attached)
    assert ["full", "room"] == told
    assert "in_flight=1 waiting=1" in repr(outbound)
