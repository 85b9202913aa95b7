"""Chapters 2.1, 2.1.1, 2.2, 2.6 and 2.20 of the aiomisc seed, through mainspring."""

import asyncio
import signal
from threading import Event

import pytest

import mainspring
from mainspring import entrypoint, get_context, receiver


@pytest.fixture(autouse=True)
def _asyncio_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loop of libuv leaves a pipe open in the process."""
    monkeypatch.setenv("MAINSPRING_USE_UVLOOP", "0")


class Ticking(mainspring.Service):
    interval: float

    async def start(self):
        self.start_event.set()
        while True:  # noqa: ASYNC110  # as the seed has it
            await asyncio.sleep(self.interval)


def test_2_1_whole_example() -> None:
    async def main():
        await asyncio.sleep(0)

    with mainspring.entrypoint(
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


async def test_2_1_from_async_code() -> None:
    async with mainspring.entrypoint(Ticking(interval=1), log_config=False) as ep:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ep.closing(), timeout=0)


def test_2_1_1_services_are_added_while_the_program_runs() -> None:
    async def add_services():
        current = mainspring.entrypoint.get_current()
        services = [Ticking(interval=2), Ticking(interval=2)]
        await current.start_services(*services)
        assert list(current.services) == services
        await current.stop_services(*services)
        assert list(current.services) == []
        asyncio.get_running_loop().stop()

    with mainspring.entrypoint(log_config=False) as loop:
        task = loop.create_task(add_services())
        loop.run_forever()
    assert task.done()


def test_2_2_run_inside_get_event_loop() -> None:
    async def main():
        loop = asyncio.get_event_loop()
        now = loop.time()
        await asyncio.sleep(0)
        return now <= loop.time()

    assert mainspring.run(main(), log_config=False)


def test_2_6_services_wait_for_each_others_values(capsys: pytest.CaptureFixture[str]) -> None:
    class LoggingService(mainspring.Service):
        name: str

        async def start(self):
            context = get_context()
            wait_time = await context["wait_time"]
            print("Wait time is", wait_time)
            self.start_event.set()
            while True:
                print("Hello from service", self.name)
                await asyncio.sleep(wait_time)

    class RemoteConfiguration(mainspring.Service):
        async def start(self):
            await asyncio.sleep(0)
            self.context["wait_time"] = 3

    services = (LoggingService(name="#1"), LoggingService(name="#2"), RemoteConfiguration())
    with entrypoint(*services, log_config=False):
        pass
    assert capsys.readouterr().out.splitlines().count("Wait time is 3") == 2


def test_2_20_receivers() -> None:
    event = Event()
    seen: list[str] = []

    @receiver(entrypoint.PRE_START)
    async def prepare_database(entrypoint, services):
        event.set()

    @receiver(entrypoint.PRE_STOP)
    async def shutdown_notifier(entrypoint):
        seen.append("pre_stop")

    try:
        assert not event.is_set()
        with entrypoint(log_config=False):
            assert event.is_set()
        assert seen == ["pre_stop"]
    finally:
        entrypoint.PRE_START.disconnect(prepare_database)
        entrypoint.PRE_STOP.disconnect(shutdown_notifier)
