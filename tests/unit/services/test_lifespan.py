"""The lifespan of ASGI applications: told of start and stop, believed when they say that they failed."""

import asyncio

import pytest
from tests.unit.services.support_asgi import Recorder, without_lifespan

from mainspring.errors import ApplicationFailedError
from mainspring.services import ASGIReceiveType, ASGIScopeType, ASGISendType
from mainspring.services._lifespan import Lifespan


def lifespan_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("lifespan")]


async def test_start_and_stop_are_told_and_the_state_is_kept() -> None:
    app = Recorder()
    lived = Lifespan(app, service="Web")
    await lived.start()
    assert ["started"] == app.events
    assert {"database": "open"} == lived.state
    await lived.stop(timeout=5)
    assert ["started", "stopped"] == app.events
    await lived.stop(timeout=5)
    assert [] == lifespan_tasks()


async def test_an_application_that_cannot_start_is_an_error_with_its_cause() -> None:
    with pytest.raises(ApplicationFailedError, match=r"of Web did not start: KeyError: 'no database'") as caught:
        await Lifespan(Recorder(fail_start=True), service="Web").start()
    assert isinstance(caught.value.__cause__, KeyError)
    assert [] == lifespan_tasks()


async def test_an_application_without_lifespan_is_served_unless_it_is_asked_for() -> None:
    lived = Lifespan(without_lifespan(), service="Web")
    await lived.start()
    await lived.stop(timeout=5)
    with pytest.raises(ApplicationFailedError, match="NotImplementedError"):
        await Lifespan(without_lifespan(), service="Web", mode="on").start()
    off = Lifespan(Recorder(fail_start=True), service="Web", mode="off")
    await off.start()
    await off.stop(timeout=5)


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (Recorder(fail_stop=True), r"did not stop: it answered 'lifespan\.shutdown\.failed'"),
        (Recorder(stop_forever=True), r"did not stop: it took longer than 0\.01 s"),
    ],
    ids=["failed", "for ever"],
)
async def test_a_stop_that_goes_wrong_is_an_error_and_ends_all_the_same(app: Recorder, said: str) -> None:
    lived = Lifespan(app, service="Web")
    await lived.start()
    with pytest.raises(ApplicationFailedError, match=said):
        await lived.stop(timeout=0.01 if "longer" in said else 5)
    assert [] == lifespan_tasks()


async def test_an_application_that_raises_after_its_start_says_so_at_the_stop() -> None:
    async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise OSError("the disk is full")

    lived = Lifespan(app, service="Web")
    await lived.start()
    with pytest.raises(ApplicationFailedError, match="the disk is full"):
        await lived.stop(timeout=5)


async def test_a_cancelled_start_leaves_no_task() -> None:
    async def app(scope: ASGIScopeType, receive: ASGIReceiveType, send: ASGISendType) -> None:
        await asyncio.Event().wait()

    starting = asyncio.create_task(Lifespan(app, service="Web").start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [] == lifespan_tasks()
