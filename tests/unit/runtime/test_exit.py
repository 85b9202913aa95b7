"""Signals in this very process: who is cancelled, what is raised, and how long it may take."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest

from mainspring.errors import ShutdownTimeoutError
from mainspring.runtime import Service, entrypoint, resource


class Noted(Service):
    """Writes down why it was stopped."""

    log: list[str]

    async def start(self) -> None: ...

    async def stop(self, exception: BaseException | None = None) -> None:
        self.log.append(str(exception))


class BadStop(Noted):
    """Fails to stop."""

    async def stop(self, exception: BaseException | None = None) -> None:
        raise OSError("stop")


@pytest.fixture(autouse=True)
def _asyncio_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loop of libuv leaves a pipe open in the process."""
    monkeypatch.setenv("MAINSPRING_USE_UVLOOP", "0")


def quiet(*services: Service, **options: Any) -> entrypoint:
    return entrypoint(*services, log_config=False, **options)


def kill(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


async def wait_for_ever(log: list[str]) -> None:
    asyncio.get_running_loop().call_soon(kill)
    try:
        await asyncio.Event().wait()
    finally:
        log.append("main ends")


def exit_code(program: entrypoint, main: Callable[[asyncio.AbstractEventLoop], object]) -> object:
    """Run a program in its sync form until a signal ends it."""
    with pytest.raises(SystemExit) as caught, program as loop:
        main(loop)
    return caught.value.code


REASON = "Interrupt signal received"


def test_the_main_task_of_the_loop_is_cancelled_first() -> None:
    log: list[str] = []
    code = exit_code(quiet(Noted(log=log)), lambda loop: loop.run_until_complete(wait_for_ever(log)))
    assert (143, ["main ends", REASON]) == (code, log)


def test_a_loop_that_runs_for_ever_is_stopped() -> None:
    log: list[str] = []

    def forever(loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(kill, signal.SIGINT)
        loop.run_forever()
        log.append("after the loop")

    assert 130 == exit_code(quiet(Noted(log=log)), forever)
    assert ["after the loop", REASON] == log


def test_the_main_task_of_a_foreign_loop_is_cancelled_first_too() -> None:
    log: list[str] = []
    loop = asyncio.new_event_loop()
    code = exit_code(quiet(Noted(log=log), loop=loop), lambda loop: loop.run_until_complete(wait_for_ever(log)))
    assert (143, ["main ends", REASON]) == (code, log)
    assert "run_until_complete" not in vars(loop)
    loop.close()


@pytest.mark.parametrize(
    "factory", [{"policy": asyncio.DefaultEventLoopPolicy()}, {"loop_factory": asyncio.new_event_loop}]
)
def test_the_main_task_is_cancelled_first_whoever_makes_the_loop(factory: dict[str, Any]) -> None:
    log: list[str] = []
    code = exit_code(quiet(Noted(log=log), **factory), lambda loop: loop.run_until_complete(wait_for_ever(log)))
    assert (143, ["main ends", REASON]) == (code, log)


class SealedLoop(asyncio.SelectorEventLoop):
    """Takes no attributes but its own."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "main_task":
            raise AttributeError(name)
        super().__setattr__(name, value)


def test_a_loop_that_takes_no_attributes_is_left_by_an_exit() -> None:
    log: list[str] = []
    loop = SealedLoop()
    code = exit_code(quiet(Noted(log=log), loop=loop), lambda loop: loop.run_until_complete(wait_for_ever(log)))
    assert (143, [REASON]) == (code, log)
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()


def test_a_signal_outside_of_the_loop_leaves_the_block() -> None:
    log: list[str] = []
    assert 143 == exit_code(quiet(Noted(log=log)), lambda loop: kill())
    assert [REASON] == log


def test_failures_while_a_signal_stops_the_program_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert 143 == exit_code(quiet(BadStop(log=[])), lambda loop: kill())
    assert "while stopping: stop" in caplog.text


def test_a_main_task_that_does_not_end_is_left_with_code_70(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        asyncio.get_running_loop().call_soon(kill)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(30.0, release.set)

    code = exit_code(quiet(shutdown_timeout=0.05), lambda loop: loop.run_until_complete(stubborn()))
    assert 70 == code
    assert "the main task did not end within 0.05 s" in caplog.text


async def test_a_signal_while_the_program_stops_anyway_only_sets_the_code() -> None:
    class SignalledStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            kill()
            await asyncio.sleep(0)
            await super().stop(exception)

    log: list[str] = []
    with pytest.raises(SystemExit) as caught:
        async with quiet(SignalledStop(log=log)):
            pass
    assert (143, ["None"]) == (caught.value.code, log)


async def test_a_program_that_is_cancelled_logs_what_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with quiet(BadStop(log=[])):
            raise asyncio.CancelledError
    assert "while stopping: stop" in caplog.text


async def test_a_cancelled_shutdown_cancels_what_is_being_stopped() -> None:
    stopping = asyncio.Event()

    class Hangs(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            stopping.set()
            await asyncio.Event().wait()

    async def program() -> None:
        async with quiet(Hangs(log=[])):
            pass

    task = asyncio.create_task(program())
    await stopping.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Lowest(Noted):
    """Is stopped last."""


class Hanging(Noted):
    """Does not stop before it is cancelled; then it says so, or goes on.

    What it waits for is its own, and so is kept by who keeps the service: a task that waits for something that
    nobody holds may be collected at any time.
    """

    requires: tuple[str | type[Service], ...] = (BadStop, Lowest)
    hangs: asyncio.Event
    never: asyncio.Event
    is_stubborn = False

    async def stop(self, exception: BaseException | None = None) -> None:
        self.never = asyncio.Event()
        self.hangs.set()
        try:
            await self.never.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            if not self.is_stubborn:
                raise
            await self.never.wait()


async def test_a_cancelled_exit_gives_up_one_step_and_does_the_others(caplog: pytest.LogCaptureFixture) -> None:
    log, hangs = list[str](), asyncio.Event()

    @resource
    async def connection() -> AsyncIterator[str]:
        yield "open"
        log.append("closed")

    class Using(Lowest):
        link: Annotated[str, connection]

    async def note(services: object) -> None:
        log.append("post_stop")

    async def program() -> None:
        ep = quiet(Using(log=log), BadStop(log=log), Hanging(log=log, hangs=hangs))
        ep.post_stop.connect(note)
        async with ep:
            pass

    before = asyncio.all_tasks()
    task = asyncio.create_task(program())
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["cancelled", "None", "post_stop", "closed"] == log
    assert "while stopping: stop" in caplog.text
    assert before == asyncio.all_tasks()


async def test_a_cancelled_stop_of_some_services_is_a_stop_of_all_of_them() -> None:
    log, hangs = list[str](), asyncio.Event()
    services = Lowest(log=log), BadStop(log=log), Hanging(log=log, hangs=hangs)
    async with quiet(*services) as ep:
        task = asyncio.create_task(ep.stop_services(*services))
        await hangs.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert () == ep.services
    assert ["cancelled", "None"] == log


@pytest.mark.usefixtures("virtual_clock")  # in real time a pause is as long as the whole of stopping may take
async def test_a_cancelled_stop_waits_no_longer_than_stopping_may_take(caplog: pytest.LogCaptureFixture) -> None:
    """A service that ignores its cancellation is left alone, and what its neighbour raised is told."""
    log, hangs = list[str](), asyncio.Event()
    stubborn = Hanging(log=log, hangs=hangs, is_stubborn=True)
    stubborn.requires = (Lowest,)
    bad = BadStop(log=log)
    async with quiet(Lowest(log=log), bad, stubborn, shutdown_timeout=0.05) as ep:
        task = asyncio.create_task(ep.stop_services(bad, stubborn))
        await hangs.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ["cancelled", "None"] == log
    (deaf,) = (one for one in asyncio.all_tasks() if one.get_name() == "stop Hanging")
    deaf.cancel()
    await asyncio.wait({deaf})
    assert "stop Hanging: goes on although it was cancelled" in caplog.text
    assert "while stopping: stop" in caplog.text


async def test_a_step_that_awaits_what_was_cancelled_hides_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def await_cancelled(services: object) -> None:
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task

    ep = quiet(BadStop(log=[]))
    ep.post_stop.connect(await_cancelled)
    with pytest.raises(OSError, match="stop"):
        async with ep:
            pass
    assert "awaited something that was cancelled" in caplog.text


@pytest.mark.usefixtures("virtual_clock")
async def test_a_cancelled_exit_is_bounded_too(caplog: pytest.LogCaptureFixture) -> None:
    log, hangs = list[str](), asyncio.Event()
    services = Lowest(log=log), BadStop(log=log), Hanging(log=log, hangs=hangs, is_stubborn=True)

    async def program() -> None:
        async with quiet(*services, shutdown_timeout=0.05):
            pass

    task = asyncio.create_task(program())
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["cancelled"] == log
    assert "still there: " in caplog.text
    left = [one for one in asyncio.all_tasks() if one.get_name() == "stop Hanging"]
    assert 1 == len(left)
    left[0].cancel()
    await asyncio.wait(left)


def test_a_timeout_of_the_whole_is_an_error_of_its_own() -> None:
    assert "tasks that ignore their cancellation" in str(ShutdownTimeoutError(timeout=1, services=()))
