"""Connections over streams that somebody else has opened and spoken over, for peers that speak otherwise."""

import asyncio
from typing import cast

from mainspring.errors import ConnectionClosedError
from mainspring.transport._connection import DEFAULT_MAX_BYTES, Connection
from mainspring.transport._inbox import DEFAULT_UNREAD_BYTES
from mainspring.transport._records import RecordCodec
from mainspring.transport._stream_link import StreamLink


async def adopt_streams(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    header_bytes: int = 4,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Connection:
    """Return a connection in place of two streams, which are not used any more; it starts with what was not read.

    The other end is not asked for signs of life, and may send every length there is. Who it is has been found
    out before, or does not matter.

    Raises:
        ConnectionClosedError: the streams are closed.
    """
    transport = cast(asyncio.Transport, writer.transport)  # a stream socket gives one
    codec = RecordCodec(header_bytes=header_bytes, has_signs=False)
    link = StreamLink(codec, kind="adopted", heartbeat=None, idle_timeout=None, unread_bytes=DEFAULT_UNREAD_BYTES)
    if transport.is_closing():
        raise ConnectionClosedError(what="the connection", reason="it was closed before", is_clean=True)
    link.keep = writer
    transport.set_protocol(link)
    link.connection_made(transport)
    reader.feed_eof()
    rest = memoryview(await reader.read())  # does not wait: all there will be is there
    while rest:
        buffer = link.get_buffer(-1)
        taken = min(len(buffer), len(rest))
        buffer[:taken] = rest[:taken]
        link.buffer_updated(taken)
        rest = rest[taken:]
    if link.outbox.error is None and not link.inbox.is_paused:
        transport.pause_reading()
        transport.resume_reading()  # says once more that the other end has ended, if the reader was told
    return Connection(link, max_bytes=max_bytes)
