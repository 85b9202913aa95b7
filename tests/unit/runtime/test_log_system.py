"""Formats that other libraries write."""

import logging
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mainspring.errors import MissingExtraError
from mainspring.runtime import LogFormat
from mainspring.runtime._log_system import system_handler


def test_syslog_goes_to_the_socket_of_the_system_or_to_udp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "log")
    monkeypatch.setattr("mainspring.runtime._log_system.SYSLOG_SOCKET", address)
    handler = system_handler(LogFormat.syslog, None)
    handler.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        handler = system_handler(LogFormat.syslog, None)
        handler.handle(logging.LogRecord("app", logging.INFO, "", 0, "hello %s", ("you",), None))
        assert receiver.recv(1000).startswith(b"<14>app: hello you")
        handler.close()


@pytest.mark.extras
def test_rich_writes_the_message() -> None:
    pytest.importorskip("rich")
    handler = system_handler(LogFormat.rich_tb, None)
    assert "hello" == handler.format(logging.LogRecord("app", logging.INFO, "", 0, "hello", (), None))


def test_the_journal_gets_its_own_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "logging_journald", _Journald())
    assert isinstance(system_handler(LogFormat.journald, None), logging.NullHandler)


class _Journald(ModuleType):
    """Stands for the library, which needs the socket of systemd."""

    JournaldLogHandler = logging.NullHandler

    def __init__(self) -> None:
        super().__init__("logging_journald")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "logging_journald", None)
    with pytest.raises(MissingExtraError, match="journald"):
        system_handler(LogFormat.journald, None)
