"""HTTP and gRPC over TLS: who cannot prove its name is refused, on both sides."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.support_asgi import fetch, without_lifespan
from tests.unit.services.support_certificates import Certificates
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import Service
from mainspring.services import (
    AIOHTTPSSLService,
    ASGIApplicationType,
    ASGIHTTPSSLService,
    GRPCService,
    UvicornApplication,
    UvicornService,
)

pytestmark = pytest.mark.extras


class Plain(AIOHTTPSSLService):
    async def create_application(self) -> Any:
        from aiohttp import web

        async def hello(request: web.Request) -> web.Response:
            return web.Response(text=f"{request.scheme} 1")

        app = web.Application()
        app.router.add_get("/", hello)
        return app


class ASGI(ASGIHTTPSSLService):
    async def create_asgi_app(self) -> ASGIApplicationType:
        return without_lifespan("https 1")


class Uvicorn(UvicornService):
    async def create_application(self) -> UvicornApplication:
        return without_lifespan("https 1")


def served(kind: str, certificates: Certificates, name: str, *, clients: bool) -> Any:
    cert, key = getattr(certificates, name), getattr(certificates, f"{name}_key")
    if kind == "uvicorn":
        checks = {"ssl_ca_certs": certificates.ca, "ssl_cert_reqs": ssl.CERT_REQUIRED} if clients else {}
        return Uvicorn(host="127.0.0.1", port=0, ssl_certfile=cert, ssl_keyfile=key, **checks)
    made = {"aiohttp": Plain, "asgi": ASGI}[kind]
    return made(cert, key, certificates.ca, "127.0.0.1", 0, require_client_cert=clients)


def read(certificates: Certificates, name: str) -> bytes:
    return Path(getattr(certificates, name)).read_bytes()


async def ask(server: Any, context: ssl.SSLContext) -> str:
    return await fetch(f"https://127.0.0.1:{server.port}/", ssl=context)


@pytest.fixture(params=["aiohttp", "asgi", "uvicorn"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_server_that_proves_its_name_is_talked_to(kind: str, certificates: Certificates) -> None:
    server: Service = served(kind, certificates, "server", clients=False)
    async with program(server):
        assert "https 1" == await ask(server, ssl.create_default_context(cafile=certificates.ca))


@pytest.mark.parametrize("name", ["elsewhere", "expired", "self_signed"])
async def test_a_server_that_cannot_prove_its_name_is_refused(kind: str, certificates: Certificates, name: str) -> None:
    from aiohttp import ClientConnectorCertificateError

    server = served(kind, certificates, name, clients=False)
    async with program(server):
        with pytest.raises(ClientConnectorCertificateError):
            await ask(server, ssl.create_default_context(cafile=certificates.ca))


@pytest.mark.parametrize("name", ["client", "stranger", None])
async def test_only_clients_with_a_certificate_of_ours_are_served(
    kind: str, certificates: Certificates, name: str | None
) -> None:
    from aiohttp import ClientError

    context = ssl.create_default_context(cafile=certificates.ca)
    if name is not None:
        context.load_cert_chain(getattr(certificates, name), getattr(certificates, f"{name}_key"))
    server = served(kind, certificates, "server", clients=True)
    async with program(server):
        if name == "client":
            assert "https 1" == await ask(server, context)
            return
        with pytest.raises((ClientError, ssl.SSLError, OSError)):
            await ask(server, context)


@pytest.mark.parametrize("made", [Plain, ASGI])
async def test_old_protocols_are_refused(made: type[AIOHTTPSSLService], certificates: Certificates) -> None:
    files = {"cert": certificates.server, "key": certificates.server_key}
    with pytest.raises(InvalidArgumentError, match="older protocols are broken"):
        made(port=0, minimum_version=ssl.TLSVersion.TLSv1, **files)
    old = ssl.create_default_context(cafile=certificates.ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    server = made(address="127.0.0.1", port=0, **files)
    async with program(server):
        with pytest.raises(OSError):
            await ask(server, old)


@pytest.mark.parametrize("made", [Plain, ASGI])
async def test_ciphers_are_those_that_were_chosen(made: type[AIOHTTPSSLService], certificates: Certificates) -> None:
    files = {"cert": certificates.server, "key": certificates.server_key}
    with pytest.raises(InvalidArgumentError, match="'NO-SUCH' is not"):
        made(port=0, ciphers=("ECDHE+AESGCM", "NO-SUCH"), **files)
    wanted, other = "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384"
    older = ssl.TLSVersion.TLSv1_2
    server = made(address="127.0.0.1", port=0, minimum_version=older, ciphers=(wanted,), **files)
    context = ssl.create_default_context(cafile=certificates.ca)
    context.maximum_version = older
    async with program(server):
        context.set_ciphers(wanted)
        assert "https 1" == await ask(server, context)
        context.set_ciphers(other)
        with pytest.raises(OSError):  # they have none in common
            await ask(server, context)


async def test_a_missing_file_is_an_error_of_the_start(tmp_path: Path) -> None:
    server = Plain(str(tmp_path / "no.pem"), str(tmp_path / "no.key"), port=0)
    with pytest.raises(FileNotFoundError, match=r"no\.pem"):
        async with program(server):
            pass
    with pytest.raises(AttributeError, match="Absent attributes"):
        Plain(port=0)


@pytest.mark.allow_leaks("descriptors", "threads", reason="the core of gRPC keeps its pollers for the whole process")
@pytest.mark.parametrize("name", ["server", "elsewhere"])
async def test_grpc_is_served_over_tls(certificates: Certificates, name: str) -> None:
    import grpc

    async def hello(request: bytes, context: Any) -> bytes:
        return b"hello, " + request

    methods: dict[str, Any] = {"Greet": grpc.unary_unary_rpc_method_handler(hello)}
    service = GRPCService()
    service.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("hello.Greeter", methods),))
    pair = read(certificates, f"{name}_key"), read(certificates, name)
    port = service.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    credentials = grpc.ssl_channel_credentials(read(certificates, "ca"))
    async with program(service), grpc.aio.secure_channel(f"127.0.0.1:{await port}", credentials) as channel:
        unary: Any = channel.unary_unary
        call = unary("/hello.Greeter/Greet")
        if name == "server":
            assert b"hello, you" == await call(b"you", timeout=20)
            return
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await call(b"you", timeout=20)
