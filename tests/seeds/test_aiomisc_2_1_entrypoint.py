"""Chapters 2.1, 2.1.1, 2.2, 2.4, 2.4.11 and 2.6 of the aiomisc seed, through compat."""

import asyncio
import logging
import signal
from threading import Event

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import entrypoint, get_context
from mainspring.compat.aiomisc.service.periodic import PeriodicService
from mainspring.testing import eventually

log = logging.getLogger(__name__)


class MyPeriodicService(PeriodicService):
    async def callback(self):
        log.info("Running periodic callback")


def test_2_1_whole_example() -> None:
    async def main():
        await asyncio.sleep(0)

    with aiomisc.entrypoint(
        pool_size=2,
        log_level="info",
        log_format="color",
        log_buffer_size=1024,
        log_flush_interval=0.2,
        log_config=True,
        policy=asyncio.DefaultEventLoopPolicy(),
        debug=False,
        catch_signals=(signal.SIGINT, signal.SIGTERM),
        shutdown_timeout=60,
    ) as loop:
        loop.run_until_complete(main())


async def test_2_1_from_async_code(caplog: pytest.LogCaptureFixture) -> None:
    service = MyPeriodicService(interval=0.01, delay=0)
    with caplog.at_level(logging.INFO):
        async with aiomisc.entrypoint(service, log_config=False) as ep:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ep.closing(), timeout=0.01)
    assert "Running periodic callback" in caplog.text


def test_2_1_1_services_are_added_while_the_program_runs(caplog: pytest.LogCaptureFixture) -> None:
    async def add_services():
        entrypoint = aiomisc.entrypoint.get_current()

        services = [
            MyPeriodicService(interval=0.02, delay=0.01),
            MyPeriodicService(interval=0.02, delay=0),
        ]

        await entrypoint.start_services(*services)
        assert list(entrypoint.services) == services
        await eventually(lambda: caplog.text.count("Running periodic callback") >= 4)
        await entrypoint.stop_services(*services)
        assert list(entrypoint.services) == []
        asyncio.get_running_loop().stop()

    with caplog.at_level(logging.INFO), aiomisc.entrypoint(log_config=False) as loop:
        task = loop.create_task(add_services())
        loop.run_forever()
    assert task.done()


def test_2_2_run_inside_get_event_loop() -> None:
    async def main():
        loop = asyncio.get_event_loop()
        now = loop.time()
        await asyncio.sleep(0)
        return now <= loop.time()

    assert aiomisc.run(main(), log_config=False)


def test_2_6_services_wait_for_each_others_values(capsys: pytest.CaptureFixture[str]) -> None:
    class LoggingService(aiomisc.Service):
        name: str

        async def start(self):
            context = get_context()
            wait_time = await context["wait_time"]
            print("Wait time is", wait_time)
            self.start_event.set()
            while True:
                print("Hello from service", self.name)
                await asyncio.sleep(wait_time)

    class RemoteConfiguration(aiomisc.Service):
        async def start(self):
            await asyncio.sleep(0)
            self.context["wait_time"] = 3

    services = (LoggingService(name="#1"), LoggingService(name="#2"), RemoteConfiguration())
    with entrypoint(*services, log_config=False):
        pass
    assert capsys.readouterr().out.splitlines().count("Wait time is 3") == 2


def test_2_1_shortest() -> None:
    async def main():
        await asyncio.sleep(0.001)

    with aiomisc.entrypoint() as loop:
        loop.run_until_complete(main())


def test_2_4_the_current_loop_is_set_before_start() -> None:
    event = Event()

    class MyService(aiomisc.Service):
        async def start(self):
            self.start_event.set()
            assert self.loop is asyncio.get_running_loop()
            event.set()
            await asyncio.sleep(3600)

    with entrypoint(MyService()):
        assert event.is_set()


def test_2_4_11_arguments_become_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    class LoggingService(aiomisc.Service):
        __required__ = frozenset({"name"})

        # default value
        delay: int = 1

        async def start(self):
            self.start_event.set()
            while True:
                # attribute ``name`` from keyword arguments, which must be passed
                print("Hello from service", self.name)  # type: ignore[attr-defined]  # set by the metaclass

                # attribute ``delay`` from keyword arguments
                await asyncio.sleep(self.delay)

    services = (LoggingService(name="#1"), LoggingService(name="#2", delay=3))

    with entrypoint(*services) as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()

    assert capsys.readouterr().out.splitlines() == ["Hello from service #1", "Hello from service #2"]
