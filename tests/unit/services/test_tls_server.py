"""Servers and clients over TLS: who cannot prove its name is refused, unless it is told not to matter."""

import asyncio
import contextlib
import logging
import ssl

import pytest
from tests.unit.services.support_certificates import Certificates
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError
from mainspring.services import RobustTLSClient, TLSClient, TLSServer
from mainspring.services._tls import CIPHERS
from mainspring.testing import eventually

pytestmark = pytest.mark.extras


class Echo(TLSServer):
    """Sends back each line."""

    async def handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)


class Asking(TLSClient):
    """Keeps the answer to one line."""

    answer = b""

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        self.answer = await reader.readline()


class AskingAgain(RobustTLSClient):
    """Keeps the answer to one line of each connection."""

    answers = 0
    cipher = ""

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.cipher = writer.get_extra_info("cipher")[0]
        writer.write(b"hello\n")
        self.answers += await reader.readline() == b"hello\n"


def server_of(certificates: Certificates, name: str = "server", port: int | None = 0, **options: object) -> Echo:
    cert, key = getattr(certificates, name), getattr(certificates, f"{name}_key")
    return Echo(address="localhost", cert=cert, key=key, port=port, **options)


async def ask(server: TLSServer, **options: object) -> bytes:
    client = Asking(address="localhost", port=server.port, connect_attempts=1, **options)
    async with program(client):
        await eventually(lambda: client.answer != b"" or server.connection_count == 0)
    return client.answer


async def test_a_server_that_proves_its_name_is_talked_to(certificates: Certificates) -> None:
    server = server_of(certificates)
    async with program(server):
        assert b"hello\n" == await ask(server, ca=certificates.ca)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("elsewhere", "Hostname mismatch"),
        ("expired", "certificate has expired"),
        ("self_signed", "unable to get local"),
    ],
)
async def test_a_server_that_cannot_is_refused_unless_nobody_cares(
    certificates: Certificates, name: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(certificates, name)
    async with program(server):
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            await ask(server, ca=certificates.ca)
        await eventually(lambda: server.connection_count == 0)
        assert b"hello\n" == await ask(server, verify=False)
    assert 1 == caplog.text.count("verify=False")


async def test_an_unknown_authority_is_refused_by_the_systems_own(certificates: Certificates) -> None:
    server = server_of(certificates)
    async with program(server):
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(server)
        assert b"hello\n" == await ask(server, ca=certificates.ca, server_hostname="127.0.0.1")


async def test_clients_without_a_good_certificate_are_refused(certificates: Certificates) -> None:
    server = server_of(certificates, ca=certificates.ca, require_client_cert=True)
    own = {"cert": certificates.client, "key": certificates.client_key}
    strange = {"cert": certificates.stranger, "key": certificates.stranger_key}
    async with program(server):
        assert b"hello\n" == await ask(server, ca=certificates.ca, **own)
        await eventually(lambda: server.connection_count == 0)
        assert b"" == await ask(server, ca=certificates.ca)
        assert b"" == await ask(server, ca=certificates.ca, **strange)


async def test_a_certificate_that_is_sent_is_checked_though_none_is_asked_for(certificates: Certificates) -> None:
    server = server_of(certificates, ca=certificates.ca)
    strange = {"cert": certificates.stranger, "key": certificates.stranger_key}
    async with program(server):
        assert b"hello\n" == await ask(server, ca=certificates.ca)
        await eventually(lambda: server.connection_count == 0)
        assert b"" == await ask(server, ca=certificates.ca, **strange)


async def test_a_client_that_never_shakes_hands_is_dropped(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(certificates, handshake_timeout=0.05, max_connections=1)
    with caplog.at_level(logging.INFO, logger="mainspring.services"):
        async with program(server):
            reader, writer = await asyncio.open_connection("localhost", server.port)
            assert b"" == await reader.read()
            writer.close()
            server.handshake_timeout = 10.0
            assert b"hello\n" == await ask(server, ca=certificates.ca)
    assert "refused a client" in caplog.text


async def test_plain_text_is_no_handshake(certificates: Certificates) -> None:
    server = server_of(certificates)
    async with program(server):
        reader, writer = await asyncio.open_connection("localhost", server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        writer.close()
        assert b"hello\n" == await ask(server, ca=certificates.ca)


async def test_an_old_protocol_is_refused(certificates: Certificates) -> None:
    with pytest.raises(InvalidArgumentError, match="minimum_version"):
        server_of(certificates, minimum_version=ssl.TLSVersion.TLSv1)
    server = server_of(certificates)
    newest = {"minimum_version": ssl.TLSVersion.TLSv1_2, "maximum_version": ssl.TLSVersion.TLSv1_2}
    async with program(server):
        with pytest.raises(OSError):  # an alert, or just the end of the connection
            await ask(server, ca=certificates.ca, **newest)


@pytest.mark.parametrize("side", ["server", "client"])
async def test_each_side_may_choose_the_ciphers(certificates: Certificates, side: str) -> None:
    wanted = "ECDHE-ECDSA-CHACHA20-POLY1305"  # which nobody prefers
    older = ssl.TLSVersion.TLSv1_2
    of_server, of_client = (wanted, CIPHERS) if side == "server" else (CIPHERS, [wanted])
    server = server_of(certificates, minimum_version=older, ciphers=of_server)
    async with program(server):
        client = AskingAgain(
            "localhost",
            server.port,
            ca=certificates.ca,
            minimum_version=older,
            maximum_version=older,
            ciphers=of_client,
        )
        async with program(client):
            await eventually(lambda: client.answers >= 1)
    assert wanted == client.cipher
    with pytest.raises(InvalidArgumentError, match="'NO-SUCH' is not"):
        server_of(certificates, ciphers="NO-SUCH")


async def test_a_robust_client_comes_again_over_tls(certificates: Certificates) -> None:
    server = server_of(certificates)
    async with program(server):
        client = AskingAgain("localhost", server.port, ca=certificates.ca, reconnect_timeout=0.01)
        async with program(client):
            await eventually(lambda: client.answers >= 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("elsewhere", "Hostname mismatch"),
        ("expired", "certificate has expired"),
        ("self_signed", "unable to get local"),
    ],
)
async def test_a_robust_client_that_refuses_its_first_server_does_not_start(
    certificates: Certificates, name: str, reason: str
) -> None:
    server = server_of(certificates, name)
    async with program(server):
        client = AskingAgain("localhost", server.port, ca=certificates.ca, reconnect_timeout=0.01)
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            async with asyncio.timeout(30), program(client):
                raise NotImplementedError
        await eventually(lambda: server.connection_count == 0)


async def test_a_robust_client_that_was_connected_waits_for_a_better_certificate(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    def refusals(reason: str) -> int:
        return sum(r.levelno == logging.WARNING and reason in r.getMessage() for r in caplog.records)

    caplog.set_level(logging.DEBUG, logger="mainspring.services")
    first = server_of(certificates)
    async with contextlib.AsyncExitStack() as stack:
        async with program(first):
            client = AskingAgain("localhost", first.port, ca=certificates.ca, reconnect_timeout=0.01)
            await stack.enter_async_context(program(client))
            await eventually(lambda: client.answers >= 1)
        for name, reason in (("expired", "has expired"), ("elsewhere", "Hostname mismatch")):
            async with program(server_of(certificates, name, port=first.port)):
                await eventually(lambda: caplog.text.count(reason) >= 3)  # noqa: B023  # called here
            assert 1 == refusals(reason)
        before = client.answers
        async with program(server_of(certificates, port=first.port)):
            await eventually(lambda: client.answers > before)


def test_certificate_and_key_must_be_given() -> None:
    with pytest.raises(AttributeError, match="Absent attributes"):
        Echo(address="localhost", port=0)
