"""Sections 2.4.1 to 2.4.10 and 2.4.16 to 2.4.21 of the aiomisc seed, and 2.16.4, through compat."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.support_certificates import make_certificates
from tests.unit.services.support_sentry import SentryStub

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import bind_socket, entrypoint
from mainspring.compat.aiomisc.service import (
    MemoryTracer,
    Profiler,
    RobustTCPClient,
    RobustTLSClient,
    TCPClient,
    TCPServer,
    TLSClient,
    TLSServer,
    UDPServer,
)
from mainspring.compat.aiomisc.service.cron import CronService
from mainspring.compat.aiomisc.service.periodic import PeriodicService
from mainspring.compat.aiomisc.service.sdwatchdog import SDWatchdogService
from mainspring.compat.aiomisc.version import __version__
from mainspring.testing import PythonChild, VirtualClock, eventually

log = logging.getLogger(__name__)


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the examples, in the working directory."""
    made = make_certificates(tmp_path)
    for name, file in (("cert.pem", made.server), ("key.pem", made.server_key)):
        (tmp_path / name).write_bytes(Path(file).read_bytes())
    monkeypatch.chdir(tmp_path)


def run_until(loop: asyncio.AbstractEventLoop, condition: Callable[[], object]) -> None:
    """Run for ever, but stop when the condition holds."""
    watching = loop.create_task(eventually(condition, within=20))
    watching.add_done_callback(lambda _: loop.stop())
    loop.run_forever()
    watching.result()


class EchoServer(TCPServer):
    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        while not reader.at_eof():
            writer.write(await reader.read(255))

        log.info("Client connection closed")


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What the clients of all examples say."""
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"

    writer.write(b"world\n")
    assert await reader.readline() == b"world\n"


talks: list[object] = []


@pytest.fixture(autouse=True)
def _no_talks() -> None:
    talks.clear()


def test_2_4_1_tcp_server(unused_port: int) -> None:
    async def echo_client(host, port):
        reader, writer = await asyncio.open_connection(host=host, port=port)
        await talk(reader, writer)

        writer.close()
        await writer.wait_closed()

    with entrypoint(EchoServer(address="localhost", port=unused_port), log_config=False) as loop:
        loop.run_until_complete(echo_client("localhost", unused_port))


def test_2_4_2_udp_server(unused_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    printed: list[bytes] = []

    class UDPPrinter(UDPServer):
        async def handle_datagram(self, data: bytes, addr):
            print(addr, "->", data)
            printed.append(data)

    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        entrypoint(UDPPrinter(address="localhost", port=unused_port), log_config=False) as loop,
    ):
        client.sendto(b"hello", ("localhost", unused_port))
        run_until(loop, lambda: printed)
        assert f"('127.0.0.1', {client.getsockname()[1]}) -> b'hello'\n" == capsys.readouterr().out


@pytest.mark.extras
def test_2_4_3_tls_server(unused_port: int, certificates: None) -> None:
    class SecureEchoServer(TLSServer):
        async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
            while not reader.at_eof():
                writer.write(await reader.readline())

    class Client(TLSClient):
        async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer)
            talks.append(self)

    service = SecureEchoServer(
        address="localhost",
        port=unused_port,
        ca="ca.pem",
        cert="cert.pem",
        key="key.pem",
        verify=False,
    )

    with entrypoint(service, Client("localhost", unused_port, ca="ca.pem"), log_config=False) as loop:
        run_until(loop, lambda: talks)


@pytest.mark.parametrize("kind", [TCPClient, RobustTCPClient])
def test_2_4_4_and_2_4_6_tcp_clients(kind: type[TCPClient], unused_port: int) -> None:
    class EchoClient(kind):  # type: ignore[misc, valid-type]  # the two examples are the same but for this
        async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer)

            writer.write_eof()
            writer.close()
            await writer.wait_closed()
            talks.append(self)

    with entrypoint(
        EchoServer(address="localhost", port=unused_port),
        EchoClient(address="localhost", port=unused_port, connect_retry_timeout=0.01, reconnect_timeout=0.01),
        log_config=False,
    ) as loop:
        loop.run_until_complete(eventually(lambda: talks, within=20))


@pytest.mark.extras
@pytest.mark.parametrize("kind", [TLSClient, RobustTLSClient])
def test_2_4_5_and_2_4_7_tls_clients(kind: type[TLSClient], unused_port: int, certificates: None) -> None:
    class SecureEchoServer(TLSServer):
        async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
            while not reader.at_eof():
                writer.write(await reader.read(255))

            log.info("Client connection closed")

    class EchoClient(kind):  # type: ignore[misc, valid-type]  # the two examples are the same but for this
        async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer)

            writer.close()
            await writer.wait_closed()
            talks.append(self)

    with entrypoint(
        SecureEchoServer(
            address="localhost",
            port=unused_port,
            ca="ca.pem",
            cert="server.pem",
            key="server.key",
        ),
        EchoClient(
            address="localhost",
            port=unused_port,
            ca="ca.pem",
            cert="client.pem",
            key="client.key",
            connect_retry_timeout=0.01,
            reconnect_timeout=0.01,
        ),
        log_config=False,
    ) as loop:
        loop.run_until_complete(eventually(lambda: talks, within=20))


def test_2_4_8_periodic_service() -> None:
    class MyPeriodicService(PeriodicService):
        async def callback(self):
            log.info("Running periodic callback")
            talks.append(self)

    service = MyPeriodicService(interval=3600, delay=0)  # once an hour

    with entrypoint(service, log_config=False) as loop:
        run_until(loop, lambda: talks)


def test_2_4_9_cron_service() -> None:
    async def callback():
        log.info("Running cron callback")
        talks.append("function")

    service = CronService()
    service.register(callback, spec="0 * * * *")

    class MyCronService(CronService):
        async def callback(self):
            log.info("Running cron callback")
            talks.append("method")

        async def start(self):
            self.register(self.callback, spec="0 * * * *")
            await super().start()

    async def two_hours() -> None:
        async with entrypoint(service, MyCronService(), log_config=False):
            await asyncio.sleep(2 * 3600 + 1)

    with VirtualClock() as clock:
        clock.run(two_hours())
    assert ["function", "function", "method", "method"] == sorted(map(str, talks))


def test_2_4_10_several_services(unused_port_factory: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> None:
    class LoggingService(PeriodicService):
        async def callback(self):
            print("Hello from service", self.name)

    class EchoServer(TCPServer):
        async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
            while not reader.at_eof():
                writer.write(await reader.readline())

    class UDPPrinter(UDPServer):
        async def handle_datagram(self, data: bytes, addr):
            print(addr, "->", data)

    services = (
        LoggingService(name="#1", interval=1),
        EchoServer(address="localhost", port=unused_port_factory()),
        UDPPrinter(address="localhost", port=unused_port_factory()),
    )

    printed = ""

    def has_printed() -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return "->" in printed and "#1" in printed

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, entrypoint(*services, log_config=False) as loop:
        client.sendto(b"x", ("localhost", services[2].port))
        run_until(loop, has_printed)
    assert "Hello from service #1" in printed


def test_2_4_16_memory_tracer(caplog: pytest.LogCaptureFixture) -> None:
    async def main():
        leaking = []

        while "test_aiomisc_2_4_services.py" not in caplog.text:
            leaking.append(os.urandom(128))
            await asyncio.sleep(0)

    with (
        caplog.at_level(logging.INFO),
        entrypoint(MemoryTracer(interval=0.05, top_results=5), log_config=False) as loop,
    ):
        loop.run_until_complete(main())
    assert " Objects | Obj.Diff |   Memory | Mem.Diff | Traceback" in caplog.text


def test_2_4_17_profiler(caplog: pytest.LogCaptureFixture) -> None:
    async def main():
        for _ in range(100):
            time.sleep(0.0001)  # noqa: ASYNC251  # as the seed has it

    with (
        caplog.at_level(logging.INFO),
        entrypoint(Profiler(interval=0.1, top_results=5), log_config=False) as loop,
    ):
        loop.run_until_complete(main())
    assert "Ordered by: cumulative time" in caplog.text
    assert "due to restriction <5>" in caplog.text


@pytest.mark.extras
@pytest.mark.parametrize("every_option", [False, True])
def test_2_4_18_raven(every_option: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.compat.aiomisc.service.raven import RavenSender

    for name in ("SENTRY_NAME", "SENTRY_ENVIRONMENT", "SENTRY_RELEASE"):
        monkeypatch.delenv(name, raising=False)

    async def main():
        while not sentry.events:
            await asyncio.sleep(0.01)

            try:
                1 / 0  # noqa: B018  # as the seed has it
            except ZeroDivisionError:
                logging.exception("Exception")

    sentry = SentryStub()
    options: dict[str, Any] = {
        "name": "example-from-aiomisc",
        "environment": "simple_example",
        "release": __version__,
    }
    if every_option:
        options = {
            "name": "",
            "environment": "full_example",
            "release": __version__,
            "include_paths": set(),
            "exclude_paths": set(),
            "auto_log_stacks": True,
            "capture_locals": True,
            "string_max_length": 400,
            "list_max_length": 50,
            "site": None,
            "include_versions": True,
            "processors": ("raven.processors.SanitizePasswordsProcessor",),
            "sanitize_keys": None,
            "context": {"sys.argv": getattr(sys, "argv", [])[:]},
            "tags": {},
            "sample_rate": 1,
            "ignore_exceptions": (),
        }

    with entrypoint(sentry, log_config=False) as loop:
        raven_sender = RavenSender(sentry_dsn=sentry.dsn, client_options=options)
        loop.run_until_complete(entrypoint.get_current().start_services(raven_sender))
        loop.run_until_complete(main())
    event = sentry.events[0]
    assert options["environment"] == event["environment"]
    assert __version__ == event["release"]
    assert "ZeroDivisionError" == event["exception"]["values"][0]["type"]


@pytest.mark.parametrize("listens", [False, True])
def test_2_4_19_systemd_watchdog(listens: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        if listens:
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
            monkeypatch.setenv("WATCHDOG_USEC", "5000000")
        with entrypoint(SDWatchdogService(), log_config=False):
            pass
        if listens:
            systemd.setblocking(False)
            assert b"STATUS=Starting 1 services" == systemd.recv(100)
            assert b"STATUS=Started 1 services\nREADY=1" == systemd.recv(100)


MINERS = """
import sys, threading
from typing import Any
from mainspring.compat import aiomisc

class Miner:
    def __init__(self, kind): self.kind = kind
    def do_mining(self):
        print("mining", self.kind, flush=True)
        threading.Event().wait()

class MiningService(aiomisc.service.ProcessService):
    bitcoin: bool = False
    monero: bool = False
    dogiecoin: bool = False

    def in_process(self) -> Any:
        if self.bitcoin:
            miner = Miner(kind="bitcoin")
        elif self.monero:
            miner = Miner(kind="monero")
        elif self.dogiecoin:
            miner = Miner(kind="dogiecoin")
        else:
            return

        miner.do_mining()

services = [
    MiningService(bitcoin=True),
    MiningService(monero=True),
    MiningService(dogiecoin=True),
]

if __name__ == '__main__':
    with aiomisc.entrypoint(*services) as loop:
        loop.run_forever()
"""


async def test_2_4_20_process_service(tmp_path: Path) -> None:
    program = tmp_path / "miners.py"
    program.write_text(MINERS)
    async with PythonChild(str(program)) as child:
        # three processes print at once, and a line may come in two pieces
        kinds = ("bitcoin", "dogiecoin", "monero")
        await eventually(lambda: all(kind in "".join(child.lines) for kind in kinds), within=30.0)
        assert 130 == await child.send(signal.SIGINT)


SUICIDE = """
import logging
from typing import Any
from mainspring.compat import aiomisc
from time import sleep

class SuicideService(aiomisc.service.RespawningProcessService):
    def in_process(self) -> Any:
        sleep(0.01)
        logging.warning("Goodbye mad world")
        exit(42)

if __name__ == '__main__':
    with aiomisc.entrypoint(SuicideService(), log_format="plain") as loop:
        loop.run_forever()
"""


async def test_2_4_21_respawning_process_service(tmp_path: Path) -> None:
    program = tmp_path / "suicide.py"
    program.write_text(SUICIDE)
    async with PythonChild(str(program)) as child:
        for _ in range(3):
            await child.line("Goodbye mad world")
        assert 130 == await child.send(signal.SIGINT)


def test_2_16_4_bind_socket(unused_port_factory: Callable[[], int]) -> None:
    # IPv4 socket
    sock = bind_socket(address="127.0.0.1", port=unused_port_factory())
    assert socket.AF_INET == sock.family
    sock.close()

    # IPv6 socket
    sock = aiomisc.bind_socket(address="::1", port=unused_port_factory())
    assert socket.AF_INET6 == sock.family
    sock.close()
