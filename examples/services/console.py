"""A program that takes commands from its operator while it runs, over a Unix socket.

python examples/services/console.py
"""

import asyncio
import json

from mainspring.runtime import run
from mainspring.services import ConsoleService
from mainspring.tools import Dispatch

commands = Dispatch()
prices = {"tea": 2.0}


@commands.command()
async def set_price(article: str, price: float) -> str:
    """Change a price until the next delivery."""
    prices[article] = price
    return f"{article} costs {price:.2f} now"


async def main() -> None:
    """Be the operator; `mainspring console` is one, too."""
    reader, writer = await asyncio.open_unix_connection("console.sock")
    print(json.loads(await reader.readline())["program"])
    for line in ("set-price tea 2.5", "services"):
        writer.write(json.dumps({"line": line}).encode() + b"\n")
        print(json.loads(await reader.readline())["status"])
    print(prices)
    writer.close()


if __name__ == "__main__":
    run(main(), ConsoleService("console.sock", program="shop", commands=commands), log_level="warning")
