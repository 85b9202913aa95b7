"""The quick start of the aiomisc seed, through compat."""

import asyncio
import logging
from threading import Event

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import Service, entrypoint

log = logging.getLogger(__name__)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def test_an_entrypoint_around_main(capsys: pytest.CaptureFixture[str]) -> None:
    async def main():
        log.info("Starting")
        await asyncio.sleep(0.003)
        log.info("Exiting")

    with aiomisc.entrypoint(log_level="info", log_format="color") as loop:
        loop.run_until_complete(main())

    assert [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()] == ["Starting", "Exiting"]


@pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning")
def test_the_loop_is_the_current_one() -> None:
    made = aiomisc.new_event_loop()

    async def main():
        await asyncio.sleep(0.001)

    loop = asyncio.get_event_loop()
    loop.run_until_complete(main())

    assert loop is made
    _close(loop)


def test_the_loop_is_returned() -> None:
    async def main():
        await asyncio.sleep(0.003)

    loop = aiomisc.new_event_loop()
    loop.run_until_complete(main())

    _close(loop)


def test_a_service_with_start_and_stop() -> None:
    calls: list[str] = []

    class MyService(Service):
        async def start(self):
            calls.append("start")

        async def stop(self, exc):  # type: ignore[override]  # the seed's name of the argument
            calls.append("stop")

    with entrypoint(MyService()) as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()

    assert calls == ["start", "stop"]


def test_a_service_that_is_its_start() -> None:
    event = Event()

    class MyService(Service):
        async def start(self):
            # Send signal to entrypoint for continue running
            self.start_event.set()
            event.set()
            await asyncio.sleep(3600)

    with entrypoint(MyService()):
        assert event.is_set()
