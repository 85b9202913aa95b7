"""A NATS server to lean on, and to lose with and without what it has stored."""

import socket
from pathlib import Path

import pytest

from mainspring.errors import ChildStartError
from mainspring.testing import NatsServer, _nats

pytestmark = pytest.mark.extras


def greeting(server: NatsServer) -> bytes:
    """Return what it says to whoever connects."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30.0) as connection:
        return connection.recv(4096)


def test_it_comes_back_on_the_same_port(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        assert f"nats://127.0.0.1:{server.port}" == server.url
        said = greeting(server)
        assert b'"jetstream":true' in said
        assert (tmp_path / "jetstream").is_dir()
        port = server.port
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            greeting(server)
        server.start()
        assert port == server.port
        assert b"INFO" == greeting(server)[:4]


def test_options_reach_it(tmp_path: Path) -> None:
    with NatsServer(tmp_path, "--user", "me", "--pass", "secret") as server:
        assert b'"auth_required":true' in greeting(server)


def test_the_program_is_looked_for_beside_the_interpreter_and_then_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {"nats-server": "/opt/nats-server"}

    def which(name: str, path: str | None = None) -> str | None:
        return None if path is not None else programs.get(name)

    monkeypatch.setattr("shutil.which", which)
    assert "/opt/nats-server" == _nats.find_nats()
    programs.clear()
    with pytest.raises(ChildStartError, match="no such program"):
        _nats.find_nats()
