"""A bound socket listens where it was asked to, and says in a sentence why it cannot."""

import errno
import logging
import socket
from pathlib import Path

import pytest

from mainspring.errors import BindError, InvalidArgumentError
from mainspring.transport import bind_socket


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_the_family_follows_from_the_address(address: str, family: int) -> None:
    with bind_socket(address=address) as sock:
        assert (family, socket.SOCK_STREAM) == (sock.family, sock.type)
        assert address == sock.getsockname()[0]
        assert 0 < sock.getsockname()[1]
        assert not sock.getblocking()


def test_the_wildcard_of_ipv6_takes_ipv4_too() -> None:
    with bind_socket(address="::") as sock:
        sock.listen()
        with socket.create_connection(("127.0.0.1", sock.getsockname()[1])):
            pass


def test_udp_means_datagrams_and_options_are_set() -> None:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    with bind_socket(address="localhost", proto_name="udp", options=options) as sock:
        assert socket.SOCK_DGRAM == sock.type
        assert 1 == sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_port_is_shared_only_by_those_that_say_so() -> None:
    with bind_socket(address="127.0.0.1", reuse_port=True) as first:
        port = first.getsockname()[1]
        with bind_socket(address="127.0.0.1", port=port, reuse_port=True, reuse_addr=False) as second:
            assert port == second.getsockname()[1]
        with pytest.raises(
            BindError, match=rf"cannot listen on tcp://127\.0\.0\.1:{port}: Address already in use"
        ) as got:
            bind_socket(address="127.0.0.1", port=port, reuse_addr=False)
    assert isinstance(got.value.__cause__, OSError)
    assert errno.EADDRINUSE == got.value.__cause__.errno
    assert "another program listens there" in got.value.__notes__[0]


def test_unix_sockets_are_made_from_arguments(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "socket")
    with (
        caplog.at_level(logging.INFO, logger="mainspring.transport"),
        bind_socket(socket.AF_UNIX, socket.SOCK_DGRAM, address=path, proto_name="unix") as sock,
    ):
        assert path == sock.getsockname()
    assert [f"Listening unix://{path}"] == caplog.messages
    with pytest.raises(BindError, match=r"cannot listen on unix:///nowhere/socket: No such file"):
        bind_socket(socket.AF_UNIX, address="/nowhere/socket", proto_name="unix")


@pytest.mark.parametrize(("address", "said"), [("192.0.2.1", "no such address"), ("no.such.invalid", "")])
def test_an_address_that_is_not_ours_is_refused(address: str, said: str) -> None:
    with pytest.raises(BindError, match=f"cannot listen on tcp://{address}:0") as got:
        bind_socket(address=address)
    assert said in "".join(getattr(got.value, "__notes__", ()))


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="port"):
        bind_socket(address="127.0.0.1", port=70000)
    with pytest.raises(TypeError):
        bind_socket(address="127.0.0.1", options=[(1, 2, "x")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def test_the_address_is_logged_as_a_url(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="mainspring.transport"), bind_socket(address="::1") as sock:
        assert [f"Listening tcp://[::1]:{sock.getsockname()[1]}"] == caplog.messages
