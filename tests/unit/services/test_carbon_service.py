"""Metrics arrive at a carbon server over each of its protocols, and a server that is gone hurts nobody."""

import asyncio
import pickle
import sys
from typing import Any

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError, MissingExtraError
from mainspring.services import CarbonProtocol, CarbonSender, TCPServer, UDPServer, strip_carbon_ns
from mainspring.testing import eventually

pytestmark = pytest.mark.extras

LONG_AGO = 1_000_000_000


class UdpCarbon(UDPServer):
    """Keeps lines."""

    lines: bytes = b""

    def handle_datagram(self, data: bytes, addr: Any) -> None:
        self.lines += data


class TcpCarbon(TCPServer):
    """Keeps what came."""

    lines: bytes = b""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines += await reader.read()


def add_metric(name: str, value: float) -> None:
    from aiocarbon import Meter

    Meter(name, value, timestamp=LONG_AGO).send()


@pytest.mark.parametrize(("protocol", "kind"), [("udp", UdpCarbon), ("tcp", TcpCarbon), ("pickle", TcpCarbon)])
async def test_metrics_arrive(protocol: CarbonProtocol, kind: Any) -> None:
    server = kind(address="127.0.0.1", port=0)
    async with program(server):
        sender = CarbonSender(
            port=server.port, protocol=protocol, send_interval=0.01, namespace=("My App", "", "host (1)")
        )
        async with program(sender):
            add_metric("requests", 2)
            add_metric("requests", 3)
            await eventually(lambda: server.lines)
            before = server.lines
            add_metric("last", 1)
        await eventually(lambda: before != server.lines)
    if protocol == "pickle":
        assert [("my_app.host_1.requests", (LONG_AGO, 5.0))] == pickle.loads(before[4:])
    else:
        name, value, at = before.split()
        assert (b"my_app.host_1.requests", 5.0, LONG_AGO) == (name, float(value), int(at))


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_server_that_is_gone_is_logged_and_tried_again(
    protocol: CarbonProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    sender = CarbonSender(host="no.such.invalid", protocol=protocol, send_interval=0.01)
    async with program(sender):
        for count in (1, 2):
            add_metric("lost", 1)
            said = "metrics were not sent to no.such.invalid:2003"
            await eventually(lambda: caplog.text.count(said) >= count)  # noqa: B023  # called here


async def test_a_time_that_takes_too_long_ends(caplog: pytest.LogCaptureFixture) -> None:
    sender = CarbonSender(send_timeout=0.01)
    async with program(sender):

        async def never() -> None:
            await asyncio.Event().wait()

        sender._client.send = never
        await sender.send()
        assert "metrics were not sent to 127.0.0.1:2003: " in caplog.text
        assert "did not end within 0.01 s" in caplog.text


async def test_a_start_that_failed_is_stopped() -> None:
    await CarbonSender().stop()


@pytest.mark.parametrize(("name", "part"), [("My Host (1)", "my_host_1"), ("a.b-c_d", "a_b-c_d"), ("__x__", "x")])
def test_names_are_made_fit(name: str, part: str) -> None:
    assert part == strip_carbon_ns(name)


def test_the_protocol_is_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="protocol='smtp'"):
        CarbonSender(protocol="smtp")


async def test_without_the_extra_the_start_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiocarbon", None)
    with pytest.raises(MissingExtraError, match="sending to carbon needs the module 'aiocarbon'"):
        async with program(CarbonSender()):
            raise NotImplementedError
