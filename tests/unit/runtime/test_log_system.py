"""Formats that other libraries write."""

import logging
import socket
import sys
from io import StringIO
from pathlib import Path

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


@pytest.mark.extras
def test_the_journal_gets_every_level_with_its_priority_and_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("logging_journald")
    address = str(tmp_path / "socket")
    monkeypatch.setattr("mainspring.runtime._log_system.JOURNAL_SOCKET", address)
    with pytest.raises(FileNotFoundError):
        system_handler(LogFormat.journald)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(address)
        handler = system_handler(LogFormat.journald)
        for level, priority in ((50, 2), (40, 3), (30, 4), (25, 5), (20, 6), (10, 7), (5, 7)):
            record = logging.LogRecord("app", level, "", 0, "level %d", (level,), None)
            record.run = "r1"
            handler.handle(record)
            fields = journal.recv(10_000).splitlines()
            assert f"MESSAGE=level {level}".encode() in fields
            assert f"PRIORITY={priority}".encode() in fields
            assert b"EXTRA_RUN=r1" in fields
        handler.close()


@pytest.mark.extras
def test_rich_writes_to_stderr_or_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    stream = StringIO()
    record = logging.LogRecord("app", logging.INFO, "", 0, "hel\x1blo", (), None)
    system_handler(LogFormat.rich).handle(record)
    system_handler(LogFormat.rich, "%H", stream).handle(record)
    assert "hel\\x1blo" in capsys.readouterr().err
    assert "hel\\x1blo" in stream.getvalue()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "logging_journald", None)
    with pytest.raises(MissingExtraError, match="journald"):
        system_handler(LogFormat.journald, None)
