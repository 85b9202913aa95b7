"""What systemd is told arrives as it is, and nobody is hurt when nobody listens."""

import os
import socket
from pathlib import Path

import pytest

from mainspring.base import new_id
from mainspring.services._notify_socket import NotifySocket, watchdog_seconds


@pytest.mark.parametrize("abstract", [False, True])
def test_lines_arrive_in_one_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"mainspring-{new_id()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
        notify = NotifySocket()
        notify.open()
        notify.open()
        notify.send("READY=1", "STATUS=fine")
        assert b"READY=1\nSTATUS=fine" == systemd.recv(100)
        assert notify
        notify.close()
        assert not notify


def test_nobody_who_listens_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify = NotifySocket()
    notify.open()
    notify.send("READY=1")
    notify.close()
    assert not notify


def test_a_systemd_that_went_away_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify = NotifySocket()
    notify.open()
    assert f"systemd does not listen at {path}" in caplog.text
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        notify.open()
    notify.send("READY=1")
    assert "systemd was not told ('READY=1',)" in caplog.text
    notify.close()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("5000000", "", 5.0),
        ("5000000", "own", 5.0),
        ("5000000", "1", None),
        ("", "", None),
        ("0", "", None),
        ("often", "", None),
    ],
)
def test_the_watchdog_is_meant_for_one_process(
    usec: str, pid: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert seconds == watchdog_seconds()
