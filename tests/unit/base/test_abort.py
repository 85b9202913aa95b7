"""A transport may be aborted at any time, also when it has just written its last bytes and is gone."""

import asyncio
import socket

import pytest

from mainspring.base import abort_transport
from mainspring.testing import eventually


@pytest.mark.parametrize("nbytes", [0, 1_000_000])
async def test_a_transport_that_closed_itself_may_be_aborted(nbytes: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(bytes(nbytes))
        writer.close()
        theirs.setblocking(False)
        received = 0
        while piece := await asyncio.get_running_loop().sock_recv(theirs, 1 << 20):
            received += len(piece)
        await writer.wait_closed()
        abort_transport(writer.transport)
        assert nbytes == received


async def test_what_is_unsent_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(bytes(1_000_000))
        abort_transport(writer.transport)
        await eventually(lambda: ours.fileno() == -1)
        abort_transport(writer.transport)
