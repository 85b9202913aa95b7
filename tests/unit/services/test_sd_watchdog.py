"""systemd hears of the start, of the end, and of each half of the watchdog's time; over a real socket."""

import asyncio
import socket
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import Service
from mainspring.services import SDWatchdogService
from mainspring.services._sd_watchdog import _on_pre_start
from mainspring.testing import VirtualClock


class Good(Service):
    """Starts."""

    async def start(self) -> None: ...


class Bad(Service):
    """Does not start."""

    async def start(self) -> None:
        raise RuntimeError("no")


class Systemd:
    """What was told, datagram by datagram."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def told(self) -> list[str]:
        """Return what came since the last question."""
        found: list[str] = []
        while True:
            try:
                found.append(self._sock.recv(1000).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Systemd]:
    """Someone who listens, and wants no pings."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield Systemd(sock)


async def test_start_and_end_are_told(systemd: Systemd) -> None:
    service = SDWatchdogService()
    async with program(service, Good()) as running:
        assert ["STATUS=Starting 2 services", "STATUS=Started 2 services\nREADY=1"] == systemd.told()
        assert "<SDWatchdogService connected>" == repr(service)
        late = Good()
        await running.start_services(late)
        await running.stop_services(late)
        assert [
            "STATUS=Starting 1 services",
            "STATUS=Started 1 services\nREADY=1",
            "STATUS=Stopping 1 services",
        ] == systemd.told()
    assert ["STATUS=Stopping 2 services\nSTOPPING=1"] == systemd.told()
    assert "<SDWatchdogService idle>" == repr(service)


async def test_a_failed_start_is_not_ready(systemd: Systemd) -> None:
    with pytest.raises(RuntimeError, match="no"):
        async with program(SDWatchdogService(), Bad()):
            raise NotImplementedError
    assert ["STATUS=Starting 2 services", "STATUS=Stopping 2 services\nSTOPPING=1"] == systemd.told()


def test_the_watchdog_is_pinged_twice_in_its_time(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")

    async def main() -> None:
        async with program(SDWatchdogService()):
            await asyncio.sleep(12)

    with VirtualClock() as clock:
        clock.run(main())
    assert [
        "STATUS=Starting 1 services",
        "STATUS=Started 1 services\nREADY=1",
        *["WATCHDOG=1"] * 3,
        "STATUS=Stopping 1 services\nSTOPPING=1",
    ] == systemd.told()


async def test_another_interval_is_told_first(systemd: Systemd) -> None:
    service = SDWatchdogService(watchdog_interval=7200)
    async with program(service):
        assert "<SDWatchdogService pinging>" == repr(service)
    assert "WATCHDOG_USEC=7200000000" == systemd.told()[1]


async def test_a_service_that_comes_later_says_that_the_program_runs(systemd: Systemd) -> None:
    running = program(Good())
    running.pre_start.disconnect(_on_pre_start)
    async with running:
        service = SDWatchdogService()
        await running.start_services(service)
        assert "READY=1" == systemd.told()[0]
        await running.stop_services(service)
        assert "<SDWatchdogService idle>" == repr(service)


async def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service = SDWatchdogService()
    async with program(service):
        assert "<SDWatchdogService idle>" == repr(service)


def test_the_interval_is_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="watchdog_interval"):
        SDWatchdogService(watchdog_interval=0)
