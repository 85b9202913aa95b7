"""A TLS client reads its files when it starts, and refuses a weak protocol at once; see also test_tls_server."""

import asyncio
import ssl

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError
from mainspring.services import TLSClient


class Silent(TLSClient):
    """Says nothing."""

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


async def test_a_missing_authority_is_said_at_the_start() -> None:
    client = Silent(address="localhost", port=1, ca="gone.pem")
    with pytest.raises(FileNotFoundError, match=r"gone\.pem"):
        async with program(client):
            raise NotImplementedError


def test_a_weak_protocol_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="older protocols are broken"):
        Silent("localhost", 1, minimum_version=ssl.TLSVersion.TLSv1_1)


def test_an_unknown_cipher_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match="'NO-SUCH' is not"):
        Silent("localhost", 1, ciphers=("ECDHE+AESGCM", "NO-SUCH"))
