"""Lists of numbers come in on one WebSocket; replies go out on two others, odd and even; processes work in between.

pip install "mainspring[ws]"
python examples/echo_numbers.py
"""

import asyncio
from typing import Any

from mainspring.base import decode_json
from mainspring.dataflow import Dataflow, NetworkRunner, Process, Runner, WebSocketCxn
from mainspring.errors import DecodeError
from mainspring.transport import Connection, connect


async def take(p: Process, text: str, client: Connection) -> None:
    try:
        numbers = decode_json(text, list[int])
    except DecodeError:
        await client.write_json({"error": "only lists of numbers are accepted"})
        return
    for number in numbers:
        p.send(number)


def add_one(p: Process, number: int) -> int:
    return number + 1


def is_odd(number: int) -> bool:
    return number % 2 != 0


def is_even(number: int) -> bool:
    return number % 2 == 0


def make_flow() -> Dataflow:
    return Dataflow(
        "echo",
        [
            NetworkRunner([WebSocketCxn(forward_from_client=take)]),  # a port of its own for each; port= says which
            Runner(add_one, how_many=4),
            NetworkRunner([WebSocketCxn(filter=is_odd), WebSocketCxn(filter=is_even)]),
        ],
    )


async def main() -> None:
    async with make_flow() as flow:
        entry, odd, even = (f"ws://{host}:{port}" for _, (host, port) in sorted(flow.addresses.items()))
        async with (
            connect(entry, auth_key=None) as client,
            connect(odd, auth_key=None) as odd_client,
            connect(even, auth_key=None) as even_client,
        ):
            await client.write_text("no list")
            print("refused:", await client.read_json())
            await client.write_json([1, 2, 3, 4, 5])
            replies: dict[str, list[Any]] = {
                "odd": [await odd_client.read_json() for _ in range(2)],
                "even": [await even_client.read_json() for _ in range(3)],
            }
        print("odd:", sorted(replies["odd"]), "even:", sorted(replies["even"]))


if __name__ == "__main__":
    print(make_flow().describe())
    asyncio.run(main())
