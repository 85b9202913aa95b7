"""Where a server listens is checked at once, bound at the start, and told afterwards."""

import socket
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from mainspring.errors import BindError, InvalidArgumentError, MisuseError
from mainspring.services import TCPServer, _listening
from mainspring.services._listening import check_place, given, open_socket, take_name
from mainspring.transport import SocketOption, bind_socket


class Place:
    """What a server says about where it listens."""

    def __init__(self, address: str | None = None, port: int | None = None, sock: Any = None) -> None:
        self.address = address
        self.port = port
        self.sock = sock
        self.options: Iterable[SocketOption] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        self.reuse_port = False


@pytest.mark.parametrize(("address", "threads"), [("127.0.0.1", 0), ("::1", 0), ("", 0), ("localhost", 1)])
async def test_only_names_are_looked_up_and_in_a_thread(
    address: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[threading.Thread] = []

    def noting(**arguments: Any) -> socket.socket:
        used.append(threading.current_thread())
        return bind_socket(**arguments)

    monkeypatch.setattr(_listening, "bind_socket", noting)
    place = Place(address, 0)
    with await open_socket(place, "tcp") as sock:
        take_name(place, sock)
        assert 1 == sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert (place.address, place.port) == sock.getsockname()[:2]
        assert place.port
    assert [bool(threads)] == [one is not threading.main_thread() for one in used]


async def test_a_given_socket_does_not_block() -> None:
    with socket.socket() as sock:
        assert sock is await open_socket(Place(sock=sock), "tcp")
        assert not sock.getblocking()


async def test_the_protocol_is_in_the_error() -> None:
    with pytest.raises(BindError, match=r"cannot listen on udp://192\.0\.2\.1:9"):
        await open_socket(Place("192.0.2.1", 9), "udp")


@pytest.mark.parametrize("place", [Place(), Place("127.0.0.1"), Place(None, 0)])
def test_a_server_must_know_its_place(place: Place) -> None:
    with pytest.raises(MisuseError, match="Place needs address= and port=, or sock="):
        check_place(place)


def test_what_is_no_socket_is_refused() -> None:
    check_place(Place("", 0))
    with pytest.raises(InvalidArgumentError, match="sock=3"):
        check_place(Place(sock=3))


def test_arguments_that_are_none_are_left_to_the_class() -> None:
    assert {"port": 0, "address": ""} == given(port=0, address="", sock=None)


def test_an_option_that_is_misspelt_is_named() -> None:
    class Server(TCPServer):
        async def handle_client(self, reader: object, writer: object) -> None: ...

    with pytest.raises(MisuseError, match="Server needs address= and port=") as caught:
        Server(adress="127.0.0.1", port=0)
    assert caught.value.hint == "it has no option adress="
