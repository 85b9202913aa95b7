"""Frames go one way, counts of what is done come back, and nonsense ends a way."""

import asyncio
import socket

from mainspring.dataflow import Outbound
from mainspring.dataflow._link import Inbound, Link, connect
from mainspring.testing import eventually


async def test_messages_are_acknowledged_once_they_are_done() -> None:
    start, end = socket.socketpair()
    inbound, outbound = Inbound(), Outbound()
    await inbound.link.open(end)
    link = await connect(outbound, start)
    assert (True, start.fileno()) == (link.is_open, link.fd)
    for number in range(3):
        outbound.send(number)
    assert [b"0", b"1", b"2"] == await inbound.take()
    tokens = [inbound.ledger.open() for _ in range(3)]
    for token in tokens[:2]:
        token.release()
    await eventually(lambda: 2 == outbound.acknowledged_count)
    assert 3 == inbound.received_count
    link.close()
    assert [] == await inbound.take()
    await eventually(lambda: not outbound.is_attached)
    assert (False, None) == (link.is_open, link.fd)
    tokens[2].release()  # nobody is left to hear it
    await asyncio.sleep(0)
    link.write(b"nothing happens")
    link.close()


async def test_a_frame_that_is_too_long_ends_the_way() -> None:
    start, end = socket.socketpair()
    lost = asyncio.Event()
    link = Link(lambda payloads: None, lost.set)
    await link.open(end)
    start.send(b"\xff\xff\xff\xff")
    async with asyncio.timeout(10):
        await lost.wait()
    start.close()


async def test_a_late_acknowledgement_of_a_worker_that_was_replaced_does_not_count() -> None:
    (old_start, old_end), (new_start, new_end) = socket.socketpair(), socket.socketpair()
    outbound = Outbound()
    old = await connect(outbound, old_start)
    outbound.send("a")
    await eventually(lambda: 1 == outbound.sent_count)
    new = await connect(outbound, new_start)
    old_end.send(b"\x08\0\0\0" + (1).to_bytes(8, "little"))
    old_end.close()
    await eventually(lambda: not old.is_open)
    assert (0, 1, 1) == (outbound.acknowledged_count, outbound.redelivered_count, outbound.load)
    new.close()
    await eventually(lambda: not outbound.is_attached)
    new_end.close()


async def test_the_end_of_an_old_way_does_not_end_the_new_one() -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    outbound = Outbound()
    old = await connect(outbound, pairs[0][0])
    new = await connect(outbound, pairs[1][0])
    old.close()
    await eventually(lambda: not old.is_open)
    await asyncio.sleep(0)
    assert outbound.wire is new
    new.close()
    await eventually(lambda: not outbound.is_attached)
    for _, end in pairs:
        end.close()
