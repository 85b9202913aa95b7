"""GRPCService over real sockets."""

import asyncio
import socket
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import BindError, MissingExtraError, MisuseError
from mainspring.services import GRPCPort, GRPCService

pytestmark = [
    pytest.mark.extras,
    pytest.mark.allow_leaks(
        "descriptors", "threads", reason="the core of gRPC keeps its pollers for the whole process"
    ),
]


class Greeter:
    """A service of gRPC that speaks bytes, as generated code would register it."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.may_end = asyncio.Event()

    async def greet(self, request: bytes, context: Any) -> bytes:
        return b"hello, " + request

    async def greet_slowly(self, request: bytes, context: Any) -> bytes:
        self.entered.set()
        await self.may_end.wait()
        return await self.greet(request, context)

    def register(self, server: GRPCService) -> None:
        import grpc

        methods: dict[str, Any] = {
            "Greet": grpc.unary_unary_rpc_method_handler(self.greet),
            "GreetSlowly": grpc.unary_unary_rpc_method_handler(self.greet_slowly),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("hello.Greeter", methods),))
        server.add_registered_method_handlers("hello.Greeter", methods)


async def call(port: int, name: bytes = b"you", *, method: str = "Greet", credentials: Any = None) -> bytes:
    from grpc import aio

    target = f"localhost:{port}"
    channel = aio.insecure_channel(target) if credentials is None else aio.secure_channel(target, credentials)
    async with channel:
        unary: Any = channel.unary_unary
        answer: bytes = await unary(f"/hello.Greeter/{method}")(name, timeout=20)
        return answer


async def test_calls_are_answered_on_every_port() -> None:
    import grpc

    service = GRPCService(compression=grpc.Compression.Gzip)
    Greeter().register(service)
    ports = [service.add_insecure_port("localhost:0"), service.add_insecure_port("127.0.0.1:0")]
    secure = service.add_secure_port("localhost:0", grpc.local_server_credentials())
    with pytest.raises(MisuseError, match="is not bound before"):
        _ = secure.number
    assert "<GRPCPort localhost:0 unbound>" == repr(secure)
    async with program(service) as running:
        assert [b"hello, you"] * 2 == [await call(await port) for port in ports]
        assert b"hello, you" == await call(secure.number, credentials=grpc.local_channel_credentials())
        assert 3 == len({*(port.number for port in ports), secure.number})
        assert running.health().services[0].healthy
        with pytest.raises(MisuseError, match="no more handlers or ports"):
            _ = service.add_insecure_port("localhost:0")
    assert not service.healthy()


async def test_whoever_waits_for_a_port_before_the_start_gets_it() -> None:
    service = GRPCService()
    port = service.add_insecure_port("127.0.0.1:0")

    async def wait() -> int:
        return await port

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    async with program(service):
        assert port.number == await waiting


async def test_a_call_that_runs_ends_before_the_program_does() -> None:
    greeter = Greeter()
    service = GRPCService()
    greeter.register(service)
    port = service.add_insecure_port("127.0.0.1:0")
    async with program(service):
        answer = asyncio.create_task(call(await port, method="GreetSlowly"))
        await greeter.entered.wait()
        asyncio.get_running_loop().call_later(0.01, greeter.may_end.set)
    assert b"hello, you" == await answer


async def test_a_call_that_does_not_end_is_cut_after_the_time_of_grace() -> None:
    import grpc

    class Impatient(GRPCService):
        GRACEFUL_STOP_TIME = 0.05

    greeter = Greeter()
    service = Impatient()
    greeter.register(service)
    port = service.add_insecure_port("127.0.0.1:0")
    async with program(service):
        answer = asyncio.create_task(call(await port, method="GreetSlowly"))
        await greeter.entered.wait()
    with pytest.raises(grpc.aio.AioRpcError):
        await answer


async def test_a_port_that_is_taken_is_an_error_for_all_who_wait() -> None:
    service = GRPCService()
    first = service.add_insecure_port("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = service.add_insecure_port(f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(BindError, match="cannot listen on grpc://127"):
            async with program(service):
                pass
    for port in (first, taken):
        with pytest.raises(BindError):
            await port


async def test_two_services_do_not_share_a_port_by_mistake() -> None:
    first = GRPCService()
    port = first.add_insecure_port("127.0.0.1:0")
    async with program(first):
        second = GRPCService()
        _ = second.add_insecure_port(f"127.0.0.1:{await port}")
        with pytest.raises(BindError):
            async with program(second):
                pass


async def test_reflection_names_what_is_served() -> None:
    from grpc import aio
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    asked: Any = reflection_pb2.ServerReflectionRequest(list_services="")
    make_stub: Any = reflection_pb2_grpc.ServerReflectionStub

    service = GRPCService(reflection=True)
    Greeter().register(service)
    port = service.add_insecure_port("127.0.0.1:0")
    async with program(service), aio.insecure_channel(f"127.0.0.1:{await port}") as channel:
        names: list[str] = []
        async for answer in make_stub(channel).ServerReflectionInfo(iter([asked])):
            names += [one.name for one in answer.list_services_response.service]
    assert ["grpc.reflection.v1alpha.ServerReflection", "hello.Greeter"] == names


async def test_a_port_is_shared_if_the_options_say_so() -> None:
    shared: Sequence[tuple[str, int]] = [("grpc.so_reuseport", 1)]
    first, second = GRPCService(options=shared), GRPCService(options=shared)
    port = first.add_insecure_port("127.0.0.1:0")
    async with program(first):
        same = second.add_insecure_port(f"127.0.0.1:{await port}")
        async with program(second):
            assert await port == await same


async def test_without_grpc_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc.aio", None)
    with pytest.raises(MissingExtraError) as caught:
        await GRPCService().start()
    assert 'pip install "mainspring[grpc]"' == caught.value.hint
    await GRPCService().stop()


def test_a_port_that_failed_can_be_bound_at_the_next_start() -> None:
    async def main() -> int:
        port = GRPCPort("127.0.0.1:1")
        port.settle(OSError("taken"))
        with pytest.raises(OSError, match="taken"):
            await port
        port.settle(7)
        return await port

    assert 7 == asyncio.run(main())
