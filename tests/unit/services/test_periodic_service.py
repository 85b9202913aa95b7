"""A periodic service keeps its grid, waits for the call that runs, and cancels it only when time is over."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from tests.unit.services.support_programs import program

from mainspring.errors import InvalidArgumentError
from mainspring.services import PeriodicService
from mainspring.testing import VirtualClock


class Ticking(PeriodicService):
    """Notes when it was called; each call takes `seconds`."""

    seconds: float = 0.0
    error: Exception | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.cancelled = 0

    async def callback(self) -> None:
        self.begun.append(self.loop.time() - self.zero)
        if self.error:
            raise self.error
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended.append(self.loop.time() - self.zero)

    async def start(self) -> None:
        self.zero = self.loop.time()
        await super().start()


@pytest.fixture
def clock() -> Generator[VirtualClock]:
    """Time that a test does not wait for."""
    with VirtualClock() as clock:
        yield clock


def run(clock: VirtualClock, service: Ticking, seconds: float) -> None:
    async def main() -> None:
        async with program(service):
            await asyncio.sleep(seconds)

    clock.run(main())


def test_calls_lie_on_the_grid_whatever_they_take(clock: VirtualClock) -> None:
    service = Ticking(interval=10, delay=3, seconds=4)
    run(clock, service, 30)
    assert [3, 13, 23] == pytest.approx(service.begun)


def test_a_call_that_takes_longer_makes_others_fall_out(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    service = Ticking(interval=10, seconds=25)
    run(clock, service, 65)
    assert [0, 30, 60] == pytest.approx(service.begun)
    assert "Ticking.callback" in caplog.text
    assert "falls out 2 times" in caplog.text


def test_a_fixed_delay_is_a_pause_after_each_call(clock: VirtualClock) -> None:
    service = Ticking(interval=10, delay=1, seconds=4, fixed_delay=True)
    run(clock, service, 40)
    assert [1, 15, 29] == pytest.approx(service.begun)


@pytest.mark.parametrize("fixed_delay", [False, True])
def test_the_stop_waits_for_the_call_that_runs(clock: VirtualClock, fixed_delay: bool) -> None:
    service = Ticking(interval=1, seconds=50, fixed_delay=fixed_delay)
    run(clock, service, 5)
    assert [50] == pytest.approx(service.ended)
    assert 0 == service.cancelled


@pytest.mark.parametrize("fixed_delay", [False, True])
def test_a_call_that_takes_too_long_is_cancelled(clock: VirtualClock, fixed_delay: bool) -> None:
    service = Ticking(interval=1, seconds=50, stop_timeout=10, fixed_delay=fixed_delay)
    with pytest.raises(TimeoutError, match="did not stop within 10 s"):
        run(clock, service, 5)
    assert 1 == service.cancelled


@pytest.mark.parametrize("fixed_delay", [False, True])
def test_a_failed_call_is_logged_and_the_next_one_made(
    clock: VirtualClock, fixed_delay: bool, caplog: pytest.LogCaptureFixture
) -> None:
    service = Ticking(interval=1, error=KeyError("gone"), fixed_delay=fixed_delay)
    run(clock, service, 2.5)
    assert 3 == len(service.begun)
    assert 3 == caplog.text.count("KeyError: 'gone'")


def test_it_says_what_it_does(clock: VirtualClock) -> None:
    service = Ticking(interval=60, name="report", seconds=5)
    assert "<report every 60 s idle>" == repr(service)

    async def main() -> None:
        async with program(service):
            await asyncio.sleep(1)
            assert "<report every 60 s running>" == repr(service)
            await asyncio.sleep(5)
            assert "<report every 60 s waiting>" == repr(service)

    clock.run(main())
    assert "<report every 60 s idle>" == repr(service)


@pytest.mark.parametrize(
    "options", [{}, {"interval": -1}, {"fixed_delay": True}, {"interval": 1, "delay": -1, "fixed_delay": True}]
)
async def test_numbers_out_of_range_are_refused_at_the_start(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        async with program(Ticking(**options)):
            raise NotImplementedError


def test_the_callback_must_be_async() -> None:
    with pytest.raises(TypeError, match="must be coroutine functions"):

        class Plain(PeriodicService):  # pyright: ignore[reportUnusedClass]
            def callback(self) -> None: ...  # type: ignore[override]  # pyright: ignore
