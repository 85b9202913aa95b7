"""One message to many: in order, encoded once, and the slow harm nobody."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from tests.unit.transport.support_links import KEY

from mainspring.base import get_statistics
from mainspring.errors import ConnectionClosedError, FrameTooLargeError, InvalidArgumentError
from mainspring.testing import eventually
from mainspring.transport import Broadcast, BroadcastStatistic, Connection, SlowPolicy, connect, prepare, serve
from mainspring.transport._records import Bytes

LOCAL = "tcp://127.0.0.1:0"


def _count_and_send(calls: list[int], send: Callable[[Sequence[Bytes]], None], parts: Sequence[Bytes]) -> None:
    calls.append(len(parts))
    send(parts)


@asynccontextmanager
async def _audience(broadcast: Broadcast, count: int, address: str = LOCAL) -> AsyncGenerator[list[Connection]]:
    """Give clients whose server-side connections take part, in their order."""

    async def handler(connection: Connection) -> None:
        await connection.read_bytes()
        broadcast.add(connection)
        await connection.write_bytes(b"in")
        await connection.wait_closed()

    server = serve(address, handler, auth_key=KEY, heartbeat=None)
    clients: list[Connection] = []
    async with server, broadcast:
        for _ in range(count):
            client = await connect(server.address, auth_key=KEY, heartbeat=None)
            await client.write_bytes(b"me too")
            assert b"in" == await client.read_bytes()
            clients.append(client)
        yield clients
        for client in clients:
            client.abort()
            await client.wait_closed()


@pytest.mark.parametrize("address", [LOCAL, pytest.param("ws://127.0.0.1:0", marks=pytest.mark.extras)])
async def test_everybody_gets_every_message_in_order(address: str) -> None:
    broadcast = Broadcast(name="prices")
    async with _audience(broadcast, 5, address) as clients:
        for number in range(20):
            assert 5 == broadcast.send(prepare(number))
        broadcast.send(b"raw")
        for client in clients:
            assert list(range(20)) == [await client.read_json() for _ in range(20)]
            assert b"raw" == await client.read_bytes()
        assert 105 == broadcast.stats().delivery_count
        first, *_ = broadcast._subscribers
        assert (22, 2 + 30 + 3) == (first.stats().sent_count, first.stats().sent_bytes)  # with "in"
        broadcast.send(b"more")
        broadcast.remove(first)
        assert 23 == first.stats().sent_count
        assert 110 == broadcast.stats().delivery_count
        broadcast.add(first)
        counted = {one.metric: one.value for one in get_statistics(BroadcastStatistic) if one.name == "prices"}
        assert {"subscribers": 5, "messages": 22, "deliveries": 110, "dropped": 0, "cut": 0} == counted
        assert 5 == len(broadcast)
        assert "subscribers=5 messages=22" in repr(broadcast)


async def test_only_those_who_are_named_get_it() -> None:
    broadcast = Broadcast()
    async with _audience(broadcast, 3) as clients:
        subscribers = list(broadcast._subscribers.values())
        assert broadcast.add(subscribers[0].connection) is subscribers[0]
        assert 2 == broadcast.send(b"two", to=subscribers[1:])
        assert 3 == broadcast.send(b"all")
        assert [b"all", b"two", b"two"] == [await client.read_bytes() for client in clients]


async def test_who_is_gone_or_removed_gets_nothing() -> None:
    broadcast = Broadcast()
    async with _audience(broadcast, 3) as clients:
        gone, removed, _ = list(broadcast._subscribers)
        broadcast.remove(removed)
        broadcast.remove(removed)
        gone.abort()
        assert 1 == broadcast.send(b"x")
        await eventually(lambda: len(broadcast) == 1)
        assert b"x" == await clients[2].read_bytes()


@pytest.mark.parametrize("address", [LOCAL, pytest.param("ws://127.0.0.1:0", marks=pytest.mark.extras)])
async def test_what_is_written_between_broadcasts_keeps_its_place(address: str) -> None:
    broadcast = Broadcast()
    async with _audience(broadcast, 3, address) as clients:
        first, second, third = broadcast._subscribers.values()
        for number in range(3):
            broadcast.send(b"all %d" % number)
            await second.connection.write_bytes(b"one")
            broadcast.send(b"two", to=[first, second])
        broadcast.remove(third.connection)  # it still gets what was sent before
        await broadcast.close()
        await second.connection.write_bytes(b"end")
        expected = [[b"two"], [b"one", b"two"], []]
        for client, between in zip(clients, expected, strict=True):
            for number in range(3):
                assert b"all %d" % number == await client.read_bytes()
                assert between == [await client.read_bytes() for _ in between]
        assert b"end" == await clients[1].read_bytes()


@pytest.mark.parametrize("address", [LOCAL, pytest.param("ws://127.0.0.1:0", marks=pytest.mark.extras)])
async def test_the_messages_of_a_turn_are_one_write_for_each(address: str) -> None:
    broadcast = Broadcast()
    async with _audience(broadcast, 2, address) as clients:
        subscribers = list(broadcast._subscribers.values())
        calls: list[int] = []
        for subscriber in subscribers:
            subscriber.outbox.send = partial(_count_and_send, calls, subscriber.outbox.send)
        for number in range(10):
            broadcast.send(prepare(number))
        assert broadcast.add(subscribers[0].connection) is subscribers[0]  # it takes part already
        assert [] == calls
        for client in clients:
            assert list(range(10)) == [await client.read_json() for _ in range(10)]
        assert [1, 1] == calls
        broadcast.send(b"little")
        assert 10 * 2 == broadcast.stats().delivery_count
        broadcast.send(bytes(1 << 16))  # much is not held back
        assert 12 * 2 == broadcast.stats().delivery_count


@pytest.mark.extras
async def test_masked_messages_are_not_joined() -> None:
    broadcast, got = Broadcast(), list[bytes]()

    async def handler(connection: Connection) -> None:
        async for message in connection:
            got.append(bytes(message))

    server = serve("ws://127.0.0.1:0", handler, auth_key=None)
    async with server, broadcast, connect(server.address, auth_key=None) as client:
        broadcast.add(client)
        for number in range(3):
            broadcast.send(b"%d" % number)
        await eventually(lambda: got == [b"0", b"1", b"2"])


async def test_a_message_that_is_too_long_for_somebody_is_refused_at_once_and_the_others_go() -> None:
    broadcast = Broadcast()

    async def handler(connection: Connection) -> None:
        broadcast.add(connection)
        await connection.wait_closed()

    server = serve(LOCAL, handler, auth_key=None, header_bytes=1)
    async with server, broadcast, connect(server.address, auth_key=None, header_bytes=1) as client:
        await eventually(lambda: len(broadcast) == 1)
        broadcast.send(b"before")
        with pytest.raises(FrameTooLargeError):
            broadcast.send(bytes(300))
        broadcast.send(b"after")
        assert [b"before", b"after"] == [await client.read_bytes() for _ in range(2)]


async def test_what_is_sent_to_somebody_who_was_removed_holds_nothing() -> None:
    broadcast = Broadcast()
    async with _audience(broadcast, 1):
        (subscriber,) = broadcast._subscribers.values()
        subscriber.outbox.pause()
        broadcast.remove(subscriber.connection)
        assert 0 == broadcast.send(b"x", to=[subscriber])
        assert (0, None) == (broadcast.stats().slow_count, subscriber.task)


async def test_who_is_gone_already_is_not_taken_in() -> None:
    broadcast = Broadcast()
    assert 0 == broadcast.send(b"nobody")
    async with _audience(broadcast, 1):
        (connection,) = broadcast._subscribers
        connection.abort()
        broadcast.add(connection)
        assert 0 == len(broadcast)


async def _read_to_the_end(connection: Connection) -> None:
    while True:
        await connection.read_bytes()


async def _stall(broadcast: Broadcast, fast: list[Connection]) -> int:
    """Send until the client that does not read is slow; the fast ones read. Return how many were sent."""
    sent = 0
    while not broadcast.stats().slow_count:
        broadcast.send(prepare([sent, "x" * 10_000]), key="same")
        sent += 1
        for client in fast:
            await client.read_bytes()
    return sent


async def test_a_slow_subscriber_misses_old_messages_and_the_others_none() -> None:
    broadcast = Broadcast(max_waiting=10)
    async with _audience(broadcast, 4) as (slow, *fast):
        last = await _stall(broadcast, fast) - 1
        subscriber = next(iter(broadcast._subscribers.values()))
        while subscriber.dropped_count < 100 or "waiting=10 dropped=" not in repr(subscriber):  # the system takes some
            last += 1
            assert broadcast.send(prepare([last, "x" * 10_000])) >= 3
            for client in fast:
                assert last == (await client.read_json())[0]
        assert 1 == broadcast.stats().slow_count
        numbers = [-1]
        while numbers[-1] < last:
            numbers.append((await slow.read_json())[0])
        assert sorted(set(numbers)) == numbers
        assert last + 1 == len(numbers) - 1 + broadcast.stats().dropped_count
        assert broadcast.stats().dropped_count > 0
        await eventually(lambda: broadcast.stats().slow_count == 0)
        assert 4 == broadcast.send(prepare([0]))


async def test_memory_for_a_slow_subscriber_is_bounded_by_bytes() -> None:
    broadcast = Broadcast(max_waiting_bytes=100_000)
    async with _audience(broadcast, 2) as (_, fast):
        await _stall(broadcast, [fast])
        for _ in range(50):
            broadcast.send(b"y" * 30_000)
            await fast.read_bytes()
        assert next(iter(broadcast._subscribers.values())).waiting_bytes <= 100_000
        broadcast.send(b"z" * 200_000)  # one that is larger than the bound waits alone
        assert len(next(iter(broadcast._subscribers.values())).waiting) <= 1


async def test_a_slow_subscriber_can_be_cut_off() -> None:
    broadcast = Broadcast(policy="drop-client", max_waiting=5)
    async with _audience(broadcast, 2) as (slow, fast):
        await _stall(broadcast, [fast])
        while len(broadcast) == 2:
            broadcast.send(b"y" * 10_000)
            await fast.read_bytes()
        assert (1, 1, 0) == (
            broadcast.stats().cut_count,
            broadcast.stats().subscriber_count,
            broadcast.stats().slow_count,
        )
        with pytest.raises(ConnectionClosedError):
            await _read_to_the_end(slow)


async def test_a_slow_subscriber_can_get_the_latest_of_each_key() -> None:
    broadcast = Broadcast(policy="conflate")
    async with _audience(broadcast, 2) as (slow, fast):
        sent = await _stall(broadcast, [fast])
        last = 299  # the system still takes some of them
        for number in range(last + 1):
            for key in ("a", "b"):
                broadcast.send(prepare([key, number, "x" * 10_000]), key=key)
                await fast.read_bytes()
        for _ in range(sent):
            await slow.read_bytes()
        got: dict[str, list[int]] = {"a": [], "b": []}
        while not all(numbers[-1:] == [last] for numbers in got.values()):
            key, number, _ = await slow.read_json()
            got[key].append(number)
        assert all(sorted(set(numbers)) == numbers for numbers in got.values())
        assert broadcast.stats().dropped_count == 2 * (last + 1) - sum(map(len, got.values())) > 0


async def test_what_waits_is_dropped_when_the_broadcast_is_closed() -> None:
    broadcast = Broadcast()
    async with _audience(broadcast, 2) as (_, fast):
        await _stall(broadcast, [fast])
        await broadcast.close()
        assert 0 == broadcast.stats().subscriber_count
        assert 0 == broadcast.send(b"nobody")
        assert 1 == broadcast.stats().dropped_count


async def test_a_slow_subscriber_that_goes_away_leaves_no_task() -> None:
    broadcast = Broadcast()
    tasks = len(asyncio.all_tasks())
    async with _audience(broadcast, 2) as (slow, fast):
        await _stall(broadcast, [fast])
        slow.abort()
        await eventually(lambda: len(broadcast) == 1)
    assert tasks == len(asyncio.all_tasks())


@pytest.mark.parametrize("policy", ["drop", ""])
def test_unknown_policies_are_refused(policy: SlowPolicy) -> None:
    with pytest.raises(InvalidArgumentError, match="policy"):
        Broadcast(policy=policy)


@pytest.mark.parametrize("bound", ["max_waiting", "max_waiting_bytes"])
def test_bounds_must_be_positive(bound: str) -> None:
    with pytest.raises(InvalidArgumentError, match=bound):
        Broadcast(**{bound: 0})  # type: ignore[arg-type]  # one of the two
