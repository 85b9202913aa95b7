"""Fixtures for those who ask: a program with its services, unused ports, a bad network, a database."""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from typing import Any  # Any: options and values of any type

import pytest

from mainspring.runtime import Entrypoint, Service
from mainspring.testing._clickhouse import ClickHouseServer
from mainspring.testing._local_server import unused_port as any_unused_port
from mainspring.testing._nats import NatsServer
from mainspring.testing._tcp_proxy import TCPProxy


@pytest.fixture
def services() -> Sequence[Service]:
    """The services that the fixture `entrypoint` starts; override it."""
    return ()


@pytest.fixture
def entrypoint_kwargs() -> dict[str, Any]:
    """The options of the fixture `entrypoint`; override it. No logging is configured, no signal taken over."""
    return {"log_config": False, "catch_signals": ()}


@pytest.fixture
def default_context() -> Mapping[str, Any]:
    """The values that the context of the fixture `entrypoint` has from the beginning; override it."""
    return {}


@pytest.fixture
async def entrypoint(
    services: Sequence[Service], entrypoint_kwargs: dict[str, Any], default_context: Mapping[str, Any]
) -> AsyncGenerator[Entrypoint]:
    """A program on the loop of the test; the fixture `services` is started before the test and stopped after it."""

    async def fill_context(entrypoint: Entrypoint) -> None:
        for key, value in default_context.items():
            entrypoint.ctx[key] = value

    program = Entrypoint(*services, **entrypoint_kwargs)
    program.pre_start.connect(fill_context)
    async with program:
        yield program


@pytest.fixture
def localhost() -> str:
    """The address of this machine for itself."""
    return "127.0.0.1"


@pytest.fixture
def unused_port_factory() -> Callable[[], int]:
    """A function that returns TCP ports of 127.0.0.1 that nobody uses now, each time another one."""
    given: set[int] = set()

    def choose() -> int:
        while (port := any_unused_port()) in given:
            pass
        given.add(port)
        return port

    return choose


@pytest.fixture
def unused_port(unused_port_factory: Callable[[], int]) -> int:
    """A TCP port of 127.0.0.1 that nobody uses now; prefer port 0 where the program can say what it got."""
    return unused_port_factory()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[NatsServer]:
    """A real NATS server that the tests of this run share; each uses streams of its own."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def tcp_proxy() -> type[TCPProxy]:
    """The class of the proxy: `async with tcp_proxy(host, port) as proxy`."""
    return TCPProxy


@pytest.fixture(scope="session")
def clickhouse_server() -> Generator[ClickHouseServer]:
    """A real ClickHouse engine that the tests of this run share; each uses tables of its own."""
    with ClickHouseServer() as server:
        yield server
