"""Exceptions that are logged go to Sentry; here a small server plays it. Needs mainspring[raven].

python examples/services/sentry.py
"""

import asyncio
import gzip
import logging

from mainspring.runtime import entrypoint
from mainspring.services import RavenSender, SentrySender, TCPServer

log = logging.getLogger("shop")


class Sentry(TCPServer):
    """Says what arrived."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        body = await reader.readexactly(length)
        event = gzip.decompress(body) if "content-encoding: gzip" in head else body
        print("an event of", head.split()[1], "with ZeroDivisionError:", b"ZeroDivisionError" in event)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


async def main() -> None:
    """Fail once."""
    server = Sentry(address="127.0.0.1", port=0)
    async with entrypoint(server, log_config=False) as program:
        dsn = f"http://key@127.0.0.1:{server.port}/1"
        senders = (
            SentrySender(sentry_dsn=dsn, tags={"shop": "corner"}),
            RavenSender(sentry_dsn=dsn, client_options={"tags": {"shop": "corner"}}),  # as raven's client was told
        )
        await program.start_services(*senders)
        try:
            print(1 / 0)
        except ZeroDivisionError:
            log.exception("the till is broken")
        await program.stop_services(*senders)


if __name__ == "__main__":
    asyncio.run(main())
