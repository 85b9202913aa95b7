"""Chapters 1, 1.1, 1.2 and 1.4 of the aiomisc seed, through compat: services, their configuration, entrypoint."""

import asyncio
import logging
from typing import Any

import pytest

from mainspring.compat import aiomisc
from mainspring.compat.aiomisc import entrypoint


class InfinityService(aiomisc.Service):
    async def start(self):
        self.start_event.set()

        while True:  # noqa: ASYNC110  # as the seed has it
            await asyncio.sleep(1)


class OrdinaryService(aiomisc.Service):
    async def start(self): ...

    async def stop(self, exception: Exception | None = None) -> Any: ...


class HelloService(aiomisc.Service):
    name: str = "мир"

    async def start(self):
        print(f"Привет {self.name}")


class TitledService(aiomisc.Service):
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


def test_1_1_both_kinds_of_services() -> None:
    with entrypoint(OrdinaryService(), InfinityService(), log_config=False) as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_1_2_arguments_become_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    class Imperative(aiomisc.Service):
        def __init__(self, name: str = "мир", **kwargs: Any):
            super().__init__(**kwargs)
            self.name = name

        async def start(self) -> Any:
            print(f"Привет {self.name}")

    for kind in (Imperative, HelloService):
        with aiomisc.entrypoint(kind(), kind(name="Гвидо"), log_config=False):
            pass
        assert capsys.readouterr().out == "Привет мир\nПривет Гвидо\n"


def test_1_2_required_attributes_and_async_methods(capsys: pytest.CaptureFixture[str]) -> None:
    with aiomisc.entrypoint(
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
    with aiomisc.entrypoint(
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

    aiomisc.run(sleep_and_exit(), OrdinaryService(), InfinityService(), log_level="info")


def test_1_4_without_services(capsys: pytest.CaptureFixture[str]) -> None:
    async def sleep_and_exit():
        logging.info("Started")
        await asyncio.sleep(0.001)
        logging.info("Exiting")

    with aiomisc.entrypoint(log_level="info") as loop:
        loop.run_until_complete(sleep_and_exit())

    assert [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()] == ["Started", "Exiting"]


def test_1_4_both_services_until_the_user_stops_them() -> None:
    with aiomisc.entrypoint(OrdinaryService(), InfinityService()) as loop:
        loop.call_soon(loop.stop)
        loop.run_forever()
