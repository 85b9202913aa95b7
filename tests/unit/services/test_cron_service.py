"""Callbacks are called at their times, on the clock of their zone, and awaited at the stop."""

import asyncio
import functools
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.unit.services.support_programs import program

from mainspring.base import CronExpression, current_clock
from mainspring.errors import InvalidArgumentError, MisuseError, NotCoroutineFunctionError
from mainspring.services import CronService
from mainspring.testing import VirtualClock


@pytest.fixture
def clock() -> Generator[VirtualClock]:
    """Time that a test does not wait for; it begins in 2013."""
    with VirtualClock() as clock:
        yield clock


def run(clock: VirtualClock, service: CronService, seconds: float) -> None:
    async def main() -> None:
        async with program(service):
            await asyncio.sleep(seconds)

    clock.run(main())


def test_each_callback_has_its_times_and_zone(clock: VirtualClock) -> None:
    called: list[tuple[str, datetime]] = []

    async def note(name: str) -> None:
        called.append((name, current_clock().now()))

    service = CronService(zone=ZoneInfo("America/New_York"))
    service.register(functools.partial(note, "noon"), "0 12 * * *")
    service.register(functools.partial(note, "utc"), CronExpression("30 0 * * *"), zone=UTC)
    assert "<CronService callbacks=2>" == repr(service)
    run(clock, service, 86400)
    assert [("utc", datetime(2013, 1, 1, 0, 30, tzinfo=UTC)), ("noon", datetime(2013, 1, 1, 17, tzinfo=UTC))] == called


def test_a_subclass_registers_in_its_start(clock: VirtualClock) -> None:
    class Mine(CronService):
        calls = 0

        async def callback(self) -> None:
            self.calls += 1

        async def start(self) -> None:
            self.register(self.callback, spec="*/5 * * * *")
            await super().start()

    service = Mine()
    run(clock, service, 3600)
    assert 12 == service.calls


def test_the_stop_waits_for_calls_and_cancels_those_that_are_too_long(clock: VirtualClock) -> None:
    ended: list[str] = []

    async def work(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        ended.append(name)

    def service(**options: Any) -> CronService:
        made = CronService(**options)
        made.register(functools.partial(work, "short", 5), "* * * * *")
        made.register(functools.partial(work, "long", 30), "* * * * *")
        return made

    run(clock, service(), 61)
    assert ["short", "long"] == ended
    with pytest.raises(TimeoutError, match="did not stop"):
        run(clock, service(stop_timeout=10), 36)
    assert ["short", "long", "short"] == ended


def test_exceptions_are_logged_unless_they_are_expected(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(error: Exception) -> None:
        raise error

    service = CronService()
    service.register(functools.partial(fail, KeyError()), "* * * * *", suppress_exceptions=(KeyError,))
    service.register(functools.partial(fail, ValueError("bad")), "* * * * *")
    run(clock, service, 61)
    assert 1 == caplog.text.count("ValueError: bad")
    assert "KeyError" not in caplog.text


def test_what_cannot_be_called_is_refused_at_once() -> None:
    service = CronService(name="mine")
    with pytest.raises(NotCoroutineFunctionError, match="works on coroutine functions, and print is"):
        service.register(print, "* * * * *")  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidArgumentError):
        service.register(asyncio.Event().wait, "every day")
    assert "<mine callbacks=0>" == repr(service)


async def test_nothing_is_registered_after_the_start() -> None:
    async def work() -> None: ...

    service = CronService()
    service.register(work, "0 0 1 1 *")
    async with program(service):
        with pytest.raises(MisuseError, match="has started"):
            service.register(work, "* * * * *")
