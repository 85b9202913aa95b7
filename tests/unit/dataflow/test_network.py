"""Stages at the border talk to real clients, and one bad client or server harms nobody."""

import asyncio
from typing import Any

import pytest
from tests.unit.dataflow.support_flows import count_to_100

from mainspring.base import decode_json
from mainspring.dataflow import BuriedMessage, Dataflow, Edge, NetworkMode, NetworkRunner, Process, Runner, WebSocketCxn
from mainspring.testing import eventually
from mainspring.transport import Connection, connect, serve

pytestmark = pytest.mark.extras


def take(p: Process, blob: str | bytes) -> object:
    return decode_json(blob)


async def answer(p: Process, blob: str | bytes, client: Connection) -> None:
    await client.write_json({"got": blob if isinstance(blob, str) else blob.decode()})


def url(flow: Dataflow, place: str) -> str:
    host, port = flow.addresses[place]
    return f"ws://{host}:{port}"


def border(callback: Any, seen: list[Any], **options: Any) -> Dataflow:
    def see(p: Process, message: object) -> None:
        seen.append(message)

    entry = NetworkRunner([WebSocketCxn(forward_from_client=callback)])
    return Dataflow("f", [entry, Runner(see)], mode="inline", **options)


async def test_messages_of_clients_go_on_and_clients_are_answered() -> None:
    seen: list[Any] = []
    async with border(take, seen) as flow, connect(url(flow, "0.0"), auth_key=None) as client:
        await client.write_json([1])
        await client.write_bytes(b"[2]")
        await eventually(lambda: [[1], [2]] == seen)
    async with border(answer, seen) as flow, connect(url(flow, "0.0"), auth_key=None) as client:
        await client.write_text("a")
        await client.write_bytes(b"b")
        assert [{"got": "a"}, {"got": "b"}] == [await client.read_json() for _ in range(2)]


async def test_a_host_of_ipv6_can_be_listened_on() -> None:
    told: list[tuple[str, int] | None] = []

    def tell(p: Process) -> None:
        told.append(p.address)

    entry = NetworkRunner([WebSocketCxn("::1", forward_from_client=take, startup=tell)])
    async with Dataflow("f", [entry, Runner(take)], mode="inline") as flow:
        (place,) = flow.addresses.values()
        assert [place] == told
        assert "::1" == place[0]
        _, writer = await asyncio.open_connection(*place)
        writer.close()


async def test_a_bad_message_is_buried_and_its_client_stays() -> None:
    seen: list[Any] = []
    letters: list[BuriedMessage] = []
    async with (
        border(take, seen, dead_letter=letters.append) as flow,
        connect(url(flow, "0.0"), auth_key=None) as client,
    ):
        await client.write_text("no JSON")
        await client.write_text("1")
        await eventually(lambda: [1] == seen)
    assert ["no JSON"] == [letter.message for letter in letters]


async def test_a_callback_that_lets_a_cancellation_out_keeps_its_client() -> None:
    seen: list[Any] = []

    async def pick(p: Process, blob: str) -> object:
        if blob == "cut":
            raise asyncio.CancelledError
        return blob

    async with border(pick, seen) as flow, connect(url(flow, "0.0"), auth_key=None) as client:
        for blob in ("cut", "a"):
            await client.write_text(blob)
        await eventually(lambda: ["a"] == seen)


async def test_a_client_that_is_cut_off_harms_nobody() -> None:
    seen: list[Any] = []
    async with border(take, seen) as flow, connect(url(flow, "0.0"), auth_key=None) as client:
        other = await connect(url(flow, "0.0"), auth_key=None)
        await other.write_json(1)
        await eventually(lambda: [1] == seen)
        other.abort()
        await client.write_json(2)
        await eventually(lambda: [1, 2] == seen)


async def test_a_client_is_not_read_from_while_the_next_stage_is_full() -> None:
    taken, seen, may = list[str](), list[str](), asyncio.Event()

    def pass_on(p: Process, text: str) -> None:
        taken.append(text)
        p.send(text)

    async def wait(p: Process, text: str) -> None:
        await may.wait()
        seen.append(text)

    entry = NetworkRunner([WebSocketCxn(forward_from_client=pass_on)])
    topology: list[NetworkRunner | Runner] = [entry, Runner(wait, edge=Edge(max_in_flight=2, max_waiting=2))]
    async with Dataflow("f", topology, mode="inline") as flow, connect(url(flow, "0.0"), auth_key=None) as client:
        for number in range(100):
            await client.write_text(str(number))
        await eventually(lambda: len(taken) == 4)
        for _ in range(100):  # time enough for more
            await asyncio.sleep(0)
        assert 4 == len(taken)
        may.set()
        await eventually(lambda: len(seen) == 100)
    assert [str(number) for number in range(100)] == seen == taken


async def test_a_last_stage_sends_to_all_its_clients() -> None:
    gate = asyncio.Event()

    async def source(p: Process) -> Any:
        await gate.wait()
        for number in range(3):
            yield number

    async with (
        Dataflow("f", [Runner(source), NetworkRunner([WebSocketCxn()])], mode="inline") as flow,
        connect(url(flow, "1.0"), auth_key=None) as one,
        connect(url(flow, "1.0"), auth_key=None) as two,
    ):
        gate.set()
        for client in (one, two):
            assert [0, 1, 2] == [await client.read_json() for _ in range(3)]


async def test_a_key_is_asked_for_when_there_is_one() -> None:
    seen: list[Any] = []

    def see(p: Process, message: object) -> None:
        seen.append(message)

    network = WebSocketCxn(forward_from_client=take, scheme="tcp", auth_key=b"k" * 16)
    async with Dataflow("f", [NetworkRunner([network]), Runner(see)], mode="inline") as flow:
        address = url(flow, "0.0").replace("ws:", "tcp:")
        async with connect(address, auth_key=b"k" * 16) as client:
            await client.write_json(5)
            await eventually(lambda: [5] == seen)
    assert "kkkk" not in repr(network)


async def test_a_connecting_worker_comes_again_until_its_callback_says_that_it_is_enough() -> None:
    visits: list[str] = []
    seen: list[Any] = []

    async def feed(connection: Connection) -> None:
        await connection.write_json(len(visits))

    async def own(p: Process, connection: Connection) -> bool:
        visits.append(connection.peer)
        async for blob in connection:
            p.send(decode_json(blob))
        return len(visits) == 3

    def see(p: Process, message: object) -> None:
        seen.append(message)

    async with serve("ws://127.0.0.1:0", feed, auth_key=None) as server:
        network = WebSocketCxn(mode=NetworkMode.CONNECT, uri=server.address, forward_from_client=own)
        async with Dataflow("f", [NetworkRunner([network]), Runner(see)], mode="inline"):
            await eventually(lambda: 3 == len(visits) == len(seen), within=20.0)


async def test_a_server_that_is_not_there_is_tried_again(unused_port: int) -> None:
    got: list[Any] = []

    async def listen(connection: Connection) -> None:
        got.extend([decode_json(blob) async for blob in connection])

    def forward(p: Process, message: object) -> Any:
        return send_to_all(p, message)

    async def send_to_all(p: Process, message: object) -> None:
        await eventually(lambda: p.state["clients"], within=20.0)
        for client in p.state["clients"]:
            await client.write_json(message)

    network = WebSocketCxn(port=unused_port, mode=NetworkMode.CONNECT, forward_from_internal=forward)
    async with (
        serve(f"ws://127.0.0.1:{unused_port}", listen, auth_key=None),
        Dataflow("f", [Runner(count_to_100), NetworkRunner([network])], mode="inline") as flow,
    ):
        await flow.wait()
        await eventually(lambda: list(range(100)) == got, within=20.0)
