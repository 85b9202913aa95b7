"""What services say of themselves."""

import asyncio

from tests.unit.runtime.support_services import quiet

from mainspring.runtime import Service
from mainspring.testing import eventually


async def test_health_tells_who_is_not_well() -> None:
    class Dies(Service):
        async def start(self) -> None:
            self.start_event.set()
            await asyncio.sleep(0)
            raise OSError("died")

    class Sick(Service):
        async def start(self) -> None: ...

        def healthy(self) -> bool:
            raise KeyError("sick")

    class Well(Sick):
        def healthy(self) -> bool:
            return True

    async with quiet(Dies(), Sick(), Well()) as program:
        for _ in range(5):
            await asyncio.sleep(0)
        report = program.health()
        assert not report.healthy
        assert [False, False, True] == [one.healthy for one in report.services]
        assert ["OSError: died", "KeyError: 'sick'", None] == [one.error for one in report.services]
        await program.stop_services(*program.services)
        assert program.health().ready
    assert not program.health().ready


async def test_states_follow_a_service_from_its_start_to_its_stop() -> None:
    class Gated(Service):
        gate: asyncio.Event

        async def start(self) -> None:
            await self.gate.wait()

        async def stop(self, exception: BaseException | None = None) -> None:
            self.gate.clear()
            await self.gate.wait()

    class Work(Service):
        async def start(self) -> None:
            self.start_event.set()
            try:
                await asyncio.Event().wait()
            finally:
                await self.context["let go"]

    def states() -> list[str]:
        return [one.state for one in program.health().services]

    async with quiet() as program:
        gated, work = Gated(gate=asyncio.Event()), Work()
        starting = asyncio.ensure_future(program.start_services(gated, work))
        await eventually(lambda: ["starting", "running"] == states())
        assert not program.health().ready
        gated.gate.set()
        await starting
        assert ["running", "running"] == states()
        stopping = asyncio.ensure_future(program.stop_services(gated, work))
        await eventually(lambda: not gated.gate.is_set())
        gated.gate.set()
        await eventually(lambda: ["stopped", "stopping"] == states())
        program.ctx["let go"] = True
        await stopping
        assert [] == states()
