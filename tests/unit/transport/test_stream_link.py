"""The link before it is connected, and what its end is called."""

import asyncio

import pytest

from mainspring.errors import ClosedError, ConnectionClosedError
from mainspring.transport._address import parse_address
from mainspring.transport._options import LinkOptions
from mainspring.transport._stream_link import StreamLink


def _link() -> StreamLink:
    options = LinkOptions.checked(
        auth_key=None, ssl=None, header_bytes=4, max_bytes=100, heartbeat=None, idle_timeout=None, handshake_timeout=1.0
    )
    return options.stream_link(parse_address("unix://x"))


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_link_that_was_never_connected_ends_all_the_same(end: str) -> None:
    link = _link()
    link.outbox.write([b"nobody is there"])
    link._pause()
    link._resume()
    getattr(link, end)()
    with pytest.raises(ClosedError):
        await link.inbox.get()
    with pytest.raises(ClosedError):
        link.outbox.write([b"x"])


async def test_questions_that_come_after_the_end_are_not_answered() -> None:
    link = _link()
    link.close()
    link._ask()
    link.codec.pings = 1
    link._answer_pings()
    link.begin_record()
    link.codec.pings = 1
    link._answer_pings()
    link.end_record()
    await asyncio.sleep(0)
    assert 0 == link.outbox.unsent_bytes


async def test_a_link_that_breaks_is_no_clean_end() -> None:
    link = _link()
    link.connection_lost(ConnectionResetError(104, "reset"))
    with pytest.raises(ConnectionClosedError, match="the link broke") as caught:
        await link.inbox.get()
    assert not caught.value.is_clean
