"""Chapters 1, 1.1, 1.2 and 1.4 of the aiomisc seed, through mainspring: services, their configuration, entrypoint."""

import asyncio
import logging
from threading import Event
from typing import Any

import pytest

import mainspring
from mainspring import Service, entrypoint


@pytest.fixture(autouse=True)
def _asyncio_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loop of libuv leaves a pipe open in the process."""
    monkeypatch.setenv("MAINSPRING_USE_UVLOOP", "0")


class InfinityService(mainspring.Service):
    async def start(self):
        self.start_event.set()

        while True:  # noqa: ASYNC110  # as the seed has it
            await asyncio.sleep(1)


class OrdinaryService(mainspring.Service):
    async def start(self): ...

    async def stop(self, exception: Exception | None = None) -> Any: ...


class HelloService(mainspring.Service):
    name: str = "мир"

    async def start(self):
        print(f"Привет {self.name}")


class TitledService(mainspring.Service):
    __required__ = ("name", "title")
    __async_required__ = ("greeting",)

    name: str
    title: str

    async def greeting(self) -> str:
        await asyncio.sleep(0)
        return f"Привет {self.title} {self.name}"

    async def start(self):
        print(await self.greeting())


class EmojiService(TitledService):
    async def greeting(self) -> str:
        await asyncio.sleep(0)
        return f"🙋 {self.title} {self.name}"


def test_overview_entrypoint_runs_main() -> None:
    async def main():
        logging.getLogger("seed").info("Starting")
        await asyncio.sleep(0)
        return "done"

    with mainspring.entrypoint(log_level="info", log_format="color") as loop:
        assert loop.run_until_complete(main()) == "done"


def test_overview_new_event_loop() -> None:
    async def main():
        await asyncio.sleep(0)
        return "done"

    loop = mainspring.new_event_loop()
    try:
        assert loop.run_until_complete(main()) == "done"
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)


def test_overview_control_is_given_when_services_are_started() -> None:
    event = Event()

    class MyService(Service):
        async def start(self):
            # Send signal to entrypoint for continue running
            self.start_event.set()
            event.set()
            await asyncio.sleep(3600)

    with entrypoint(MyService(), log_config=False):
        assert event.is_set()


def test_1_1_both_kinds_of_services() -> None:
    with entrypoint(OrdinaryService(), InfinityService(), log_config=False) as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_1_2_arguments_become_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    class Imperative(mainspring.Service):
        def __init__(self, name: str = "мир", **kwargs: Any):
            super().__init__(**kwargs)
            self.name = name

        async def start(self) -> Any:
            print(f"Привет {self.name}")

    for kind in (Imperative, HelloService):
        with mainspring.entrypoint(kind(), kind(name="Гвидо"), log_config=False):
            pass
        assert capsys.readouterr().out == "Привет мир\nПривет Гвидо\n"


def test_1_2_required_attributes_and_async_methods(capsys: pytest.CaptureFixture[str]) -> None:
    with mainspring.entrypoint(
        TitledService(name="Гвидо", title="мистер"), EmojiService(name="👨", title="🎩"), log_config=False
    ):
        pass
    assert set(capsys.readouterr().out.splitlines()) == {"Привет мистер Гвидо", "🙋 🎩 👨"}
    with pytest.raises(AttributeError):
        TitledService(name="Гвидо")
    with pytest.raises(TypeError) as caught:
        type("BadHello", (TitledService,), {"greeting": lambda self: f"{self.title} {self.name}"})
    assert str(caught.value) == "('Following methods must be coroutine functions', ('BadHello.greeting',))"


def test_1_4_all_arguments() -> None:
    with mainspring.entrypoint(
        OrdinaryService(),
        InfinityService(),
        pool_size=4,
        log_level="info",
        log_format="color",
        log_buffering=True,
        log_buffer_size=1024,
        log_flush_interval=0.2,
        log_config=True,
        policy=asyncio.DefaultEventLoopPolicy(),
        debug=False,
    ) as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_1_4_run() -> None:
    async def sleep_and_exit():
        logging.getLogger("seed").info("Started")
        await asyncio.sleep(0)
        logging.getLogger("seed").info("Exiting")

    mainspring.run(sleep_and_exit(), OrdinaryService(), InfinityService(), log_level="info")
