"""One upstream feed, rebroadcast over WebSocket to clients that each ask for their keys. Needs mainspring[ws].

python examples/services/websocket_proxy.py
"""

import asyncio
import json

from mainspring.runtime import entrypoint
from mainspring.services import WebSocketProxyService
from mainspring.transport import Connection, connect, row_keys, serve


async def feed(connection: Connection) -> None:
    """Stand for the service that allows one connection: prices of what it was asked for last."""
    async for message in connection:
        asked = json.loads(bytes(message))["keys"]
        await connection.write_json([{"sym": key, "price": 1.5} for key in asked])


async def tell(
    connection: Connection, keys: frozenset[object], came: frozenset[object], went: frozenset[object]
) -> None:
    """Tell that service all keys that any client wants."""
    await connection.write_json({"keys": sorted(map(str, keys))})


async def ask(address: str, key: str) -> None:
    """Be one client."""
    async with connect(address, auth_key=None) as client:
        await client.write_json({"subscribe": [key]})
        await client.read_json()  # the command, which is confirmed
        print(await client.read_json())


async def main() -> None:
    """Let two programs share the one connection."""
    async with serve("ws://127.0.0.1:0", feed, auth_key=None) as upstream:
        proxy = WebSocketProxyService(
            listen="ws://127.0.0.1:0", upstream=upstream.address, router_keys=row_keys("sym"), update_subscribe=tell
        )
        async with entrypoint(proxy, log_level="warning"):
            await ask(proxy.address, "AAPL")
            await ask(proxy.address, "MSFT")


if __name__ == "__main__":
    asyncio.run(main())
