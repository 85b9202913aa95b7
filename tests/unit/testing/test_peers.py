"""Only sockets whose other end is outside of this process count as foreign."""

import asyncio
import os
import socket
from pathlib import Path

from mainspring.testing import PythonChild
from mainspring.testing._peers import foreign_peer

_UNIX_SERVER = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
connection, _ = server.accept()
input()
"""


def test_pipes_and_socketpairs_are_ours() -> None:
    reader, writer = os.pipe()
    left, right = socket.socketpair()
    with left, right:
        assert (foreign_peer(reader), foreign_peer(left.fileno())) == (None, None)
    os.close(reader)
    os.close(writer)


def test_tcp_within_the_process_and_listening_are_ours() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            found = [foreign_peer(each.fileno()) for each in (server, client, accepted)]
    assert found == [None, None, None]


def test_an_unconnected_datagram_socket_has_no_peer_but_a_connected_one_has() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as free, socket.socket(type=socket.SOCK_DGRAM) as bound:
        assert foreign_peer(free.fileno()) is None
        bound.connect(("127.0.0.1", 9))
        assert foreign_peer(bound.fileno()) == "a connection to 127.0.0.1:9"


def test_a_stream_that_is_not_connected_yet_is_foreign() -> None:
    with socket.socket() as client:
        assert foreign_peer(client.fileno()) == "a TCP connection that is being made"


def test_a_family_without_processes_is_ours() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as netlink:
        assert foreign_peer(netlink.fileno()) is None


async def test_a_unix_socket_to_another_process_is_foreign(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with PythonChild("-c", _UNIX_SERVER, path) as child:
        await child.line("listening")
        _, writer = await asyncio.open_unix_connection(path)
        found = foreign_peer(writer.get_extra_info("socket").fileno())
        writer.close()
        await writer.wait_closed()
    assert f"a Unix socket to process {child.pid}" == found
