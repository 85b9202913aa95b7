"""A real server to lean on, and to lose."""

import socket

import pytest

from mainspring.errors import ChildStartError
from mainspring.testing import ValkeyServer, _local_server, _valkey

pytestmark = pytest.mark.extras


def ask(server: ValkeyServer, *words: str) -> bytes:
    """Send one command, return the first part of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30.0) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        return connection.recv(1000)


def test_server_answers_and_comes_back_empty_on_the_same_port() -> None:
    with ValkeyServer("--maxmemory", "50mb") as server:
        assert f"redis://127.0.0.1:{server.port}/0" == server.url
        assert "pid" in repr(server)
        assert b"+OK\r\n" == ask(server, "SET", "a", "1")
        assert b"52428800" in ask(server, "CONFIG", "GET", "maxmemory")
        port = server.port
        server.kill()
        assert "stopped" in repr(server)
        with pytest.raises(ConnectionRefusedError):
            ask(server, "PING")
        server.start()
        assert port == server.port
        assert b"$-1\r\n" == ask(server, "GET", "a")
    server.kill()


def test_paused_server_answers_later() -> None:
    with ValkeyServer() as server:
        server.pause()
        with socket.create_connection(("127.0.0.1", server.port), timeout=30.0) as connection:
            connection.sendall(b"PING\r\n")
            connection.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.recv(100)
            server.resume()
            connection.settimeout(30.0)
            assert b"+PONG\r\n" == connection.recv(100)


def test_a_server_that_says_much_goes_on() -> None:
    """What nobody reads must not fill up and block it."""
    with ValkeyServer("--loglevel", "debug") as server:
        for _ in range(700):  # it says some 100 bytes of each; a pipe holds 64 KiB
            with socket.create_connection(("127.0.0.1", server.port), timeout=30.0):
                pass
        assert b"+PONG\r\n" == ask(server, "PING")


def test_options_that_the_server_refuses_are_an_error() -> None:
    with pytest.raises(ChildStartError, match="accepted no connections"):
        ValkeyServer("--no-such-option", "1").start()


def test_program_is_looked_for_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {"redis-server": "/opt/redis-server"}

    def no_package(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", no_package)
    monkeypatch.setattr("shutil.which", programs.get)
    assert "/opt/redis-server" == _valkey.find_valkey()
    programs.clear()
    with pytest.raises(ChildStartError, match="no such program"):
        _valkey.find_valkey()


def test_server_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_local_server, "_START_SECONDS", 0.0)
    with pytest.raises(ChildStartError):
        ValkeyServer().start()


def test_session_fixture_is_a_running_server(valkey_server: ValkeyServer) -> None:
    assert b"+PONG\r\n" == ask(valkey_server, "PING")
