"""Several services: their order, and what becomes of the others."""

import asyncio

import pytest
from tests.unit.runtime.support_services import Failing, Noted, Working, quiet

from mainspring.errors import ClosedError, InvalidArgumentError, MisuseError
from mainspring.runtime import Service
from mainspring.testing import eventually


async def test_services_start_and_stop_while_the_program_runs() -> None:
    log: list[str] = []
    async with quiet() as program:
        one, other = Working(log=log, label="one"), Noted(log=log, label="other")
        await program.start_services(one, other)
        with pytest.raises(MisuseError, match="is started already"):
            await program.start_services(Noted(log=log), one)
        await program.stop_services(one, exc=KeyError("why"))
        assert "one is cancelled" == log[-1]
        assert (other,) == program.services
        with pytest.raises(ValueError, match="bad"):
            await program.start_services(Failing(log=log, label="bad"), Noted(log=log, label="third"))
        assert "third stops ValueError" == log[-1]
    assert "other stops NoneType" == log[-1]


async def test_required_services_start_before_and_stop_after() -> None:
    log: list[str] = []

    class Database(Noted):
        async def start(self) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            await super().start()

    class Api(Noted):
        requires = (Database, "cache")

    class Front(Noted):
        requires = (Api,)

    services = (
        Front(log=log, label="front"),
        Api(log=log, label="api"),
        Database(log=log, label="db"),
        Noted(log=log, label="cache", name="cache"),
    )
    async with quiet(*services):
        assert log.index("db starts") < log.index("api starts") < log.index("front starts")
    assert ["front stops NoneType", "api stops NoneType"] == log[4:6]
    with pytest.raises(MisuseError, match=r"requires .*Database, which is not among"):
        async with quiet(Api(log=log)):
            raise NotImplementedError


async def test_what_requires_a_service_that_failed_is_not_started() -> None:
    log: list[str] = []

    class Dependent(Noted):
        requires = (Failing,)

    with pytest.raises(ValueError, match="base"):
        async with quiet(Failing(log=log, label="base"), Dependent(log=log)):
            raise NotImplementedError
    assert [] == log


async def test_a_circle_of_requirements_is_drawn() -> None:
    class One(Noted):
        requires = ("Two",)

    class Two(Noted):
        requires = (One,)

    with pytest.raises(ValueError, match=r"One -> .*Two -> .*One"):
        async with quiet(One(log=[]), Two(log=[])):
            raise NotImplementedError


async def test_when_one_of_fifty_does_not_start_the_others_are_stopped() -> None:
    log: list[str] = []
    services: list[Service] = [(Working if number % 2 else Noted)(log=log, label=str(number)) for number in range(49)]
    with pytest.raises(ValueError, match="the fiftieth"):
        async with quiet(*services[:25], Failing(log=log, label="the fiftieth"), *services[25:]):
            raise NotImplementedError
    started = {line.split()[0] for line in log if line.endswith("starts")}
    assert {str(number) for number in range(25)} <= started
    assert started == {line.split()[0] for line in log if line.endswith("stops ValueError")}
    assert {one for one in started if int(one) % 2} == {line.split()[0] for line in log if line.endswith("cancelled")}


async def test_no_service_is_started_in_a_program_that_stops() -> None:
    log: list[str] = []
    with pytest.raises(MisuseError, match="before it is entered"):
        await quiet().start_services(Noted(log=log))
    async with quiet() as program:
        pass
    with pytest.raises(ClosedError, match="this program is closed"):
        await program.start_services(Noted(log=log))
    assert [] == log


async def test_a_service_that_runs_is_not_started_again_and_goes_on() -> None:
    log: list[str] = []
    old, new = Noted(log=log), Noted(log=log)
    async with quiet(old) as program:
        for services in ((old,), (old, new)):
            with pytest.raises(MisuseError, match="is started already"):
                await program.start_services(*services)
        with pytest.raises(InvalidArgumentError, match="instances of Service"):
            await program.start_services(Noted)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert (old,) == program.services
        assert ["service starts"] == log


async def test_who_is_stopped_before_it_has_started_did_not_start() -> None:
    log: list[str] = []

    class Slow(Noted):
        async def start(self) -> None:
            await asyncio.Event().wait()

    async with quiet() as program:
        starting = asyncio.ensure_future(program.start_services(slow := Slow(log=log)))
        await eventually(lambda: slow in program.services)
        await program.stop_services(slow)
        with pytest.raises(ClosedError, match=r"Slow is closed"):
            await starting


async def test_services_that_require_their_own_class_stop_together() -> None:
    class Peer(Noted):
        requires = ("Noted",)

    log: list[str] = []
    async with quiet(Peer(log=log), Noted(log=log, label="first")):
        pass
    assert 2 == sum("stops" in line for line in log)


async def test_what_requires_a_service_that_was_stopped_before_it_had_started_is_stopped_too() -> None:
    log: list[str] = []

    class Slow(Noted):
        async def start(self) -> None:
            await asyncio.Event().wait()

    class Dependent(Noted):
        requires = (Slow,)

    async with quiet() as program:
        slow = Slow(log=log, label="slow")
        starting = asyncio.ensure_future(program.start_services(slow, Dependent(log=log, label="dependent")))
        await eventually(lambda: slow in program.services)
        await program.stop_services(slow)
        with pytest.raises(ClosedError):
            await starting
        assert () == program.services
    assert ["slow stops NoneType"] == log
