"""Trades come in on pipes, one for each group of symbols; bars go out to WebSocket clients, and so does their sum.

pip install "mainspring[ws]"
python examples/market_bars.py
"""

import asyncio
import os
from typing import Any

from mainspring.dataflow import Dataflow, NetworkRunner, Process, Runner, WebSocketCxn
from mainspring.transport import AsyncPipe, Connection, connect

TRADES_PER_BAR = 10


def make_bar(p: Process, trade: dict[str, Any]) -> dict[str, Any] | None:
    """Collect trades; give a bar for each ten of a symbol."""
    prices = p.state[trade["symbol"]]
    prices.append(trade["price"])
    if len(prices) < TRADES_PER_BAR:
        return None
    bar = {"symbol": trade["symbol"], "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1]}
    prices.clear()
    return bar


def start_sums(p: Process) -> None:
    p.state["highest"] = {}


async def send_sum(p: Process, bar: dict[str, Any]) -> None:
    highest: dict[str, float] = p.state["highest"]
    highest[bar["symbol"]] = max(bar["high"], highest.get(bar["symbol"], 0))
    client: Connection
    for client in list(p.state["clients"]):
        await client.write_json(sum(highest.values()))


async def trade(pipe: AsyncPipe, symbol: str, first: int) -> None:
    """Be the feed: 20 trades."""
    for number in range(20):
        await pipe.write_json({"symbol": symbol, "price": first + number % 7})
    await pipe.close()


async def main() -> None:
    feeds = [AsyncPipe() for _ in range(2)]
    # The dataflow owns the descriptors that it reads, so it gets copies of its own.
    pipes = [os.dup(feed.read_fd) for feed in feeds if feed.read_fd is not None]
    flow = Dataflow(
        "market",
        [
            Runner(make_bar, read_pipes=pipes),
            NetworkRunner([WebSocketCxn(), WebSocketCxn(startup=start_sums, forward_from_internal=send_sum)]),
        ],
    )
    print(flow.describe())
    async with flow:
        bars, sums = (f"ws://{host}:{port}" for _, (host, port) in sorted(flow.addresses.items()))
        async with connect(bars, auth_key=None) as bar_client, connect(sums, auth_key=None) as sum_client:
            await asyncio.gather(trade(feeds[0], "ACME", 100), trade(feeds[1], "BOLT", 50))
            got = [await bar_client.read_json() for _ in range(4)]
            highest = [await sum_client.read_json() for _ in range(4)][-1]
    for bar in sorted(got, key=lambda bar: str(bar["symbol"])):
        print(bar)
    print("sum of the highest prices:", highest)


if __name__ == "__main__":
    asyncio.run(main())
