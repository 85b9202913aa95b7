"""Which loop a program gets, and how it is torn down."""

import asyncio
import threading

import pytest

from mainspring.concurrency import ThreadPoolExecutor
from mainspring.errors import InvalidArgumentError, MisuseError
from mainspring.runtime import new_event_loop, run
from mainspring.runtime._loops import OwnLoop, cancel_rest, default_loop_factory
from mainspring.runtime._settings import Settings


def test_asyncio_is_used_when_uvloop_is_not_allowed() -> None:
    loop = default_loop_factory(use_uvloop=False)()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    loop.close()


def test_a_loop_that_is_not_open_has_no_pool_and_may_be_closed() -> None:
    own = OwnLoop(asyncio.SelectorEventLoop, None, 1, False, Settings())
    with pytest.raises(MisuseError, match="not open yet"):
        _ = own.pool
    own.close(timeout=1.0)


@pytest.mark.extras
@pytest.mark.allow_leaks("descriptors", reason="libuv keeps one pipe per process")
def test_uvloop_is_used_when_it_is_there() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = default_loop_factory(use_uvloop=True)()
    assert isinstance(loop, uvloop.Loop)
    assert 1 == loop.run_until_complete(asyncio.sleep(0, 1))
    loop.close()


def test_a_new_loop_is_current_and_has_our_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_USE_UVLOOP", "0")
    loop = new_event_loop(2, asyncio.DefaultEventLoopPolicy(), debug=True)
    assert loop is asyncio.get_event_loop_policy().get_event_loop()  # pyright: ignore[reportDeprecated]
    assert loop.get_debug()
    assert isinstance(getattr(loop, "_default_executor"), ThreadPoolExecutor)  # noqa: B009  # not in the stubs
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def test_the_size_of_the_pool_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError, match="max_workers=0"):
        new_event_loop(0)
    monkeypatch.setenv("MAINSPRING_POOL_SIZE", "0")
    with pytest.raises(InvalidArgumentError, match="max_workers=0"):
        new_event_loop()


async def test_a_second_loop_in_a_thread_is_refused() -> None:
    with pytest.raises(MisuseError, match="while one runs here"):
        new_event_loop()


def test_a_thread_that_does_not_end_does_not_hold_the_loop() -> None:
    release = threading.Event()
    own = OwnLoop(asyncio.SelectorEventLoop, None, 1, False, Settings())
    loop = own.open()
    future = loop.run_in_executor(None, release.wait)
    loop.run_until_complete(asyncio.sleep(0))
    assert not future.done()
    own.close(timeout=0.0)
    assert loop.is_closed()
    release.set()
    own.close(timeout=5.0)


async def test_cancelling_the_rest_reports_what_fails() -> None:
    reported: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("at the end")

    kept, failing = asyncio.create_task(asyncio.Event().wait()), asyncio.create_task(fails())
    await asyncio.sleep(0)
    await cancel_rest({kept})
    assert failing.done()
    assert not kept.done()
    assert ["at the end"] == reported
    await cancel_rest({kept})
    kept.cancel()


def test_run_takes_any_awaitable() -> None:
    class Soon:
        def __await__(self):  # type: ignore[no-untyped-def]
            yield
            return 42

    assert 42 == run(Soon(), log_config=False, loop_factory=asyncio.SelectorEventLoop)
