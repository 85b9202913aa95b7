"""The first of a turn goes at once, the rest together; writers wait while it is full."""

import asyncio
from collections.abc import Sequence

import pytest

from mainspring.errors import ClosedError
from mainspring.transport._outbox import HIGH_WATER, Outbox, Turn, join_small
from mainspring.transport._records import Bytes


def _outbox() -> tuple[Outbox, list[list[Bytes]]]:
    sent: list[list[Bytes]] = []

    def send(parts: Sequence[Bytes]) -> None:
        sent.append(list(parts))

    return Outbox(send), sent


async def test_the_first_of_a_turn_goes_at_once_and_the_rest_together() -> None:
    outbox, sent = _outbox()
    for name in (b"a", b"b", b"c"):
        outbox.write([name])
    assert [[b"a"]] == sent
    assert 2 == outbox.unsent_bytes
    await asyncio.sleep(0)
    assert [[b"a"], [b"b", b"c"]] == sent
    outbox.write([b"d"])
    assert [b"d"] == sent[-1]
    outbox.flush()
    assert 3 == len(sent)


async def test_an_answer_to_what_came_goes_at_once() -> None:
    outbox, sent = _outbox()
    for name in (b"a", b"b", b"c"):
        outbox.note_receipt()
        outbox.write([name])
    assert [[b"a"], [b"b"], [b"c"]] == sent
    outbox.write([b"d"])
    outbox.note_receipt()  # what waits stays in its place
    outbox.write([b"e"])
    await asyncio.sleep(0)
    assert [b"d", b"e"] == sent[-1]


def test_small_neighbours_are_joined_and_large_ones_are_not_copied() -> None:
    large = bytes(1 << 16)
    assert [b"ab", large, b"c", large] == list(join_small([b"a", b"b", large, b"c", large]))
    assert any(part is large for part in join_small([b"a", large]))


async def test_a_full_turn_makes_writers_wait_for_its_end() -> None:
    outbox, sent = _outbox()
    outbox.write([b"a"])
    outbox.write([bytes(HIGH_WATER + 1)])
    before = outbox.is_full
    await outbox.drain()
    assert [True, False] == [before, outbox.is_full]
    assert 2 == len(sent)


async def test_writers_wait_while_the_transport_is_full() -> None:
    outbox, _ = _outbox()
    outbox.pause()
    waiters = [asyncio.create_task(outbox.drain()) for _ in range(3)]
    outbox.write([b"a"])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiters[1].cancel()
    outbox.resume()
    await asyncio.wait(waiters)
    assert [False, True, False] == [waiter.cancelled() for waiter in waiters]


async def test_the_end_wakes_writers_and_refuses_others() -> None:
    outbox, sent = _outbox()
    outbox.pause()
    waiter = asyncio.create_task(outbox.drain())
    await asyncio.sleep(0)
    outbox.write([b"a"])
    outbox.write([b"b"])
    outbox.end(ClosedError(what="this"))
    outbox.end(ClosedError(what="that"))
    for call in (waiter, outbox.drain()):
        with pytest.raises(ClosedError, match="this"):
            await call
    with pytest.raises(ClosedError, match="this"):
        outbox.write([b"x"])
    await asyncio.sleep(0)
    assert [[b"a"]] == sent


class _Writer:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended = 0

    def end_turn(self) -> None:
        self.ended += 1
        if self.error is not None:
            raise self.error


async def test_a_writer_that_fails_costs_no_other_its_turn() -> None:
    loop, told = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    error = ZeroDivisionError()
    turn, writers = Turn(loop), [_Writer(), _Writer(error), _Writer(), _Writer()]
    for writer in writers:
        turn.add(writer)
    for _ in range(3):
        await asyncio.sleep(0)
    assert ([1, 1, 1, 1], [error]) == ([writer.ended for writer in writers], told)


class _Feeder:
    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.held: list[Bytes] = []
        self.changes: list[bool] = []
        self.has_heard_of_the_end = False

    def flush(self) -> None:
        held, self.held = self.held, []
        if held:
            self.outbox.send(held)

    def note_change(self) -> None:
        self.changes.append(self.outbox.is_open)

    def note_end(self) -> None:
        self.has_heard_of_the_end = True

    def settle(self) -> None:
        self.outbox.note_sent(1, 10)


async def test_what_a_feeder_holds_back_goes_before_what_is_written_later() -> None:
    outbox, sent = _outbox()
    outbox.write([b"first"])
    outbox.write([b"a"])
    feeder = _Feeder(outbox)
    outbox.attach(feeder)  # what was written before it came does not wait for it
    assert [[b"first"], [b"a"]] == sent
    feeder.held = [b"b"]
    outbox.write([b"c"])
    assert not outbox.is_collecting
    feeder.held = [b"d"]
    outbox.flush()
    assert [[b"b"], [b"d"], [b"c"]] == sent[2:]
    assert (1, 10) == outbox.sent()  # what the feeder has not counted yet is asked for
    feeder.changes.clear()
    outbox.pause()
    outbox.resume()
    outbox.end(ClosedError(what="it"))
    assert ([False, True, False], True) == (feeder.changes, feeder.has_heard_of_the_end)
    outbox.detach(feeder)
    outbox.flush()


async def test_small_records_that_are_appended_count_like_those_that_are_written() -> None:
    outbox = Outbox(lambda parts: None, header_bytes=4)
    collecting: list[bool] = []
    for record in (b"\1\0\0\0a", b"\2\0\0\0bc"):
        outbox.write([record])
        outbox.note_sent(1, len(record) - 4)
        collecting.append(outbox.is_collecting)
    assert [False, True] == collecting
    outbox.parts.append(b"\3\0\0\0def")
    outbox.unsent_bytes += 7
    assert ((3, 6), 13) == (outbox.sent(), outbox.unsent_bytes)
    await asyncio.sleep(0)
    assert ((3, 6), 0) == (outbox.sent(), outbox.unsent_bytes)


async def test_nothing_is_appended_while_one_writer_has_the_outbox() -> None:
    outbox, _ = _outbox()
    for _ in range(2):
        outbox.write([b"a"])
    seen = [outbox.is_collecting]
    outbox.claim(True)
    seen += [outbox.is_collecting, outbox.is_open]
    outbox.claim(False)
    seen += [outbox.is_collecting, outbox.is_open]
    assert [True, False, False, True, True] == seen
