"""What the metaclass and the constructor of a service check and keep."""

import pickle
from typing import Any

import pytest

from mainspring.errors import MisuseError
from mainspring.runtime import Service


class Hello(Service):
    """Greets; module-level so that it pickles."""

    __required__ = ("title",)
    name: str = "world"
    title: str

    async def start(self) -> None: ...


def test_keyword_arguments_become_attributes_over_class_defaults() -> None:
    one, other = Hello(title="Dr"), Hello(title="Ms", name="Ada")
    assert (one.name, one.title, other.name, other.title) == ("world", "Dr", "Ada", "Ms")


def test_an_absent_required_argument_is_named() -> None:
    with pytest.raises(AttributeError) as caught:
        Hello(name="x")
    assert ("Absent attributes", {"title"}) == caught.value.args
    assert ["hint: write Hello(title=...)"] == caught.value.__notes__


def test_a_plain_method_in_place_of_a_coroutine_is_refused_with_the_class() -> None:
    class Greeting(Service):
        __async_required__ = ("greeting",)

        async def greeting(self) -> str:
            return "hello"

        async def start(self) -> None: ...

    with pytest.raises(TypeError) as caught:
        type("Bad", (Greeting,), {"greeting": str})
    assert caught.value.args == ("Following methods must be coroutine functions", ("Bad.greeting",))
    assert caught.value.__notes__ == ["hint: write `async def` for Bad.greeting"]
    with pytest.raises(TypeError, match="start"):
        type("Bad", (Greeting,), {"start": str})


def test_healthy_must_not_be_a_coroutine_function() -> None:
    async def healthy(self: Service) -> bool:
        return False

    with pytest.raises(MisuseError, match=r"Ill\.healthy is a coroutine function, which nobody awaits") as caught:
        type("Ill", (Hello,), {"healthy": healthy})
    assert caught.value.hint == "write `def healthy`; it must not wait"


def test_service_itself_is_abstract() -> None:
    with pytest.raises(TypeError):
        Service()  # type: ignore[abstract]


def test_a_service_pickles_as_its_arguments_without_its_constructor() -> None:
    service = Hello(title="Dr")
    service.title = "Prof"
    service.other = 1
    copied: Any = pickle.loads(pickle.dumps(service))
    assert copied.title == "Prof"
    assert not hasattr(copied, "other")


async def test_loop_and_start_event_exist_once_a_loop_is_set() -> None:
    import asyncio

    service = Hello(title="Dr")
    for name in ("loop", "start_event"):
        with pytest.raises(RuntimeError, match="entrypoint starts it"):
            getattr(service, name)
    assert "idle" in repr(service)
    service.set_loop(asyncio.get_running_loop())
    assert not service.start_event.is_set()
    assert asyncio.get_running_loop() is service.loop
    await service.stop()
