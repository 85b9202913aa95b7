"""What services say of themselves."""

import asyncio

from tests.unit.runtime.support_services import quiet

from mainspring.runtime import Service


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
