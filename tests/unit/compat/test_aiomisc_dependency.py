"""Dependencies by name: made once, in the order that they need one another, closed in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from mainspring.compat.aiomisc import Service, entrypoint
from mainspring.compat.aiomisc_dependency import (
    consumer,
    dependency,
    enter_session,
    exit_session,
    freeze,
    inject,
    reset_store,
)
from mainspring.errors import InvalidArgumentError, MisuseError

log: list[str] = []


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    """Register an engine, a connection that needs it, and a number that needs the loop."""
    log.clear()

    @dependency
    async def engine() -> AsyncIterator[str]:
        log.append("engine made")
        yield "engine"
        log.append("engine closed")

    @dependency
    def connection(engine: str) -> Iterator[str]:
        yield f"connection of {engine}"
        log.append("connection closed")

    @dependency
    async def number(loop: asyncio.AbstractEventLoop) -> int:
        assert loop is asyncio.get_running_loop()
        return 7

    yield
    reset_store()


class User(Service):
    """Needs three."""

    __dependencies__ = ("connection", "number")
    __dependencies_map__: Mapping[str, str] = MappingProxyType({"engine": "source"})
    connection: str
    number: int
    source: str

    async def start(self) -> None:
        log.append(f"{self.connection}, {self.source}, {self.number}")


def quiet(*services: Service) -> entrypoint:
    return entrypoint(*services, log_config=False, catch_signals=())


async def test_services_get_what_they_name_and_share_it() -> None:
    async with quiet(User(), User()) as program:
        await program.start_services(User())
    made, *used, first, second = log
    assert "engine made" == made
    assert ["connection of engine, engine, 7"] * 3 == used
    assert ("connection closed", "engine closed") == (first, second)


async def test_what_is_passed_or_preset_stays_and_what_is_missing_is_named() -> None:
    class Preset(Service):
        __dependencies__ = ("absent",)
        absent = "a default"

        async def start(self) -> None: ...

    class Missing(Service):
        __dependencies__ = frozenset({"absent"})

        async def start(self) -> None: ...

    class Deep(Service):
        __dependencies__ = ("needy",)

        async def start(self) -> None: ...

    @dependency
    def needy(nobody: str) -> str:
        return nobody

    user, preset = User(connection="mine", number=1), Preset()
    async with quiet(user, preset):
        assert ("mine", 1, "engine", "a default") == (user.connection, user.number, user.source, preset.absent)
    for kind, name in ((Missing, "absent"), (Deep, "nobody")):
        with pytest.raises(RuntimeError, match=f"needs the dependency '{name}', which is not registered"):
            async with quiet(kind()):
                raise NotImplementedError


@pytest.mark.parametrize("wrong", [{"__dependencies__": "engine"}, {"__dependencies_map__": ["engine"]}])
async def test_names_of_the_wrong_type_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="__dependencies"):
        async with quiet(type("Wrong", (User,), wrong)()):
            raise NotImplementedError


async def test_anything_may_be_injected_into_in_a_session() -> None:
    class Target:
        number: int
        source: str

    @consumer
    async def use(prefix: str, number: int, *, connection: str = "default") -> str:
        return f"{prefix} {number} {connection}"

    with pytest.raises(MisuseError, match="has no session"):
        await inject(Target(), dependencies_list=["number"])
    await enter_session()
    target = Target()
    await inject(target, dependencies_list=["number"], dependencies_map={"engine": "source"})
    assert (7, "engine") == (target.number, target.source)
    assert "a 7 connection of engine" == await use("a")
    assert "a 8 mine" == await use("a", 8, connection="mine")
    with pytest.raises(MisuseError, match="Target needs the dependency 'absent'"):
        await inject(target, dependencies_list=["absent"])
    await exit_session()
    await exit_session()
    assert ["engine made", "connection closed", "engine closed"] == log


async def test_a_frozen_store_takes_nothing_until_it_is_reset() -> None:
    freeze()
    with pytest.raises(MisuseError, match="is frozen"):
        dependency(len)
    reset_store()
    dependency(len)
