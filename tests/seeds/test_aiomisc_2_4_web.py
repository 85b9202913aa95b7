"""Sections 2.4.12 to 2.4.15 of the aiomisc seed, through compat: services of aiohttp, ASGI, uvicorn and gRPC."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import entrypoint

pytestmark = pytest.mark.extras

PROTO = """
syntax = "proto3";
package helloworld;
service Greeter {
  rpc SayHello (HelloRequest) returns (HelloReply) {}
}
message HelloRequest {
  string name = 1;
}
message HelloReply {
  string message = 1;
}
"""


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a user writes after the name of the program."""

    def given(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["program", *words])

    return given


def run_until_asked(loop: asyncio.AbstractEventLoop, question: Coroutine[Any, Any, None]) -> None:
    """Run for ever, but stop when the question was answered."""
    asking = loop.create_task(question)
    asking.add_done_callback(lambda _: loop.stop())
    loop.run_forever()
    asking.result()


async def read_page(port: int | None, path: str, *, text: str) -> None:
    from aiohttp import ClientSession

    async with ClientSession() as session, session.get(f"http://[::1]:{port}{path}") as response:
        assert await response.text() == text


def test_2_4_12_aiohttp(arguments: Any) -> None:
    import aiohttp.web

    from mainspring.compat.aiomisc.service.aiohttp import AIOHTTPService

    arguments("-p", "0")
    parser = argparse.ArgumentParser()
    group = parser.add_argument_group("HTTP options")

    group.add_argument("-l", "--address", default="::", help="Listen HTTP address")
    group.add_argument("-p", "--port", type=int, default=8080, help="Listen HTTP port")

    async def handle(request):
        name = request.match_info.get("name", "Anonymous")
        text = "Hello, " + name
        return aiohttp.web.Response(text=text)

    class REST(AIOHTTPService):
        async def create_application(self):
            app = aiohttp.web.Application()

            app.add_routes([aiohttp.web.get("/", handle), aiohttp.web.get("/{name}", handle)])

            return app

    arguments = parser.parse_args()
    service = REST(address=arguments.address, port=arguments.port)

    with entrypoint(service) as loop:
        run_until_asked(loop, read_page(service.port, "/", text="Hello, Anonymous"))
        run_until_asked(loop, read_page(service.port, "/Guido", text="Hello, Guido"))


def test_2_4_13_asgi(arguments: Any) -> None:
    from fastapi import FastAPI

    from mainspring.compat.aiomisc.service.asgi import ASGIApplicationType, ASGIHTTPService

    arguments("--port=0")
    parser = argparse.ArgumentParser()
    group = parser.add_argument_group("HTTP options")

    group.add_argument("-l", "--address", default="::", help="Listen HTTP address")
    group.add_argument("-p", "--port", type=int, default=8080, help="Listen HTTP port")

    app = FastAPI()

    @app.get("/")
    async def root():
        return {"message": "Hello World"}

    class REST(ASGIHTTPService):
        async def create_asgi_app(self) -> ASGIApplicationType:
            return app

    arguments = parser.parse_args()
    service = REST(address=arguments.address, port=arguments.port)

    with entrypoint(service) as loop:
        run_until_asked(loop, read_page(service.port, "/", text='{"message":"Hello World"}'))


def test_2_4_14_uvicorn(arguments: Any) -> None:
    from fastapi import FastAPI

    from mainspring.compat.aiomisc.service.uvicorn import UvicornApplication, UvicornService

    arguments("-p", "0")
    parser = argparse.ArgumentParser()
    group = parser.add_argument_group("HTTP options")

    group.add_argument("-l", "--host", default="::", help="Listen HTTP host")
    group.add_argument("-p", "--port", type=int, default=8080, help="Listen HTTP port")

    app = FastAPI()

    @app.get("/")
    async def root():
        return {"message": "Hello World"}

    class REST(UvicornService):
        async def create_application(self) -> UvicornApplication:
            return app

    arguments = parser.parse_args()
    service = REST(host=arguments.host, port=arguments.port)

    with entrypoint(service) as loop:
        run_until_asked(loop, read_page(service.port, "/", text='{"message":"Hello World"}'))


@pytest.mark.allow_leaks("descriptors", "threads", reason="the core of gRPC keeps its pollers for the whole process")
def test_2_4_15_grpc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc

    from mainspring.compat.aiomisc.service.grpc_server import GRPCService

    (tmp_path / "hello.proto").write_text(PROTO)
    monkeypatch.syspath_prepend(tmp_path)

    protos, services = grpc.protos_and_services("hello.proto")

    class Greeter(services.GreeterServicer):  # type: ignore[name-defined, misc]  # it is made at run time
        async def SayHello(self, request, context):  # noqa: N802  # the name in the seed
            return protos.HelloReply(message=f"Hello, {request.name}!")

    grpc_service = GRPCService(compression=grpc.Compression.Gzip)
    services.add_GreeterServicer_to_server(Greeter(), grpc_service)
    insecure = [
        grpc_service.add_insecure_port("[::]:0"),
        grpc_service.add_insecure_port("[::1]:0"),
        grpc_service.add_insecure_port("127.0.0.1:0"),
        grpc_service.add_insecure_port("localhost:0"),
    ]
    secure = [
        grpc_service.add_secure_port("localhost:0", grpc.local_server_credentials()),
        grpc_service.add_secure_port("[::]:0", grpc.local_server_credentials()),
    ]
    hosts = ["[::1]", "[::1]", "127.0.0.1", "localhost"]

    async def ask() -> None:
        made = [grpc.aio.insecure_channel(f"{host}:{await port}") for host, port in zip(hosts, insecure, strict=True)]
        local = grpc.local_channel_credentials()
        made += [grpc.aio.secure_channel(f"localhost:{await port}", local) for port in secure]
        for channel in made:
            async with channel:
                answer = await services.GreeterStub(channel).SayHello(protos.HelloRequest(name="you"), timeout=20)
                assert answer.message == "Hello, you!"

    with aiomisc.entrypoint(grpc_service) as loop:
        run_until_asked(loop, ask())

    assert GRPCService(reflection=True) is not None
