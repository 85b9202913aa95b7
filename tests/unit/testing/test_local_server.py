"""Ports for servers of tests: nobody has them, and nobody gets them who asks for any."""

import socket
from collections.abc import Callable

import pytest

from mainspring.errors import ChildStartError
from mainspring.testing import _local_server


def test_an_unused_port_can_be_bound(unused_port: int) -> None:
    with socket.create_server(("127.0.0.1", unused_port)) as server:
        assert unused_port == server.getsockname()[1]


def test_the_factory_gives_no_port_twice_and_none_that_others_get_unasked(
    unused_port_factory: Callable[[], int],
) -> None:
    ports = {unused_port_factory() for _ in range(50)}
    assert 50 == len(ports)
    assert max(ports) < 32_768


def test_without_a_free_port_a_server_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(_local_server, "_PORTS", (taken, taken))
        with pytest.raises(ChildStartError, match="no port is free"):
            _local_server.unused_port()
