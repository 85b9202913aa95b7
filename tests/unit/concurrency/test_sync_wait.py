"""A thread can wait for what happens on a loop."""

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from mainspring.concurrency import (
    ThreadPoolExecutor,
    sync_await,
    sync_wait_coroutine,
    threaded,
    threaded_iterable,
    threaded_separate,
    wait_coroutine,
)
from mainspring.errors import ClosedError, MisuseError

number = contextvars.ContextVar("number", default=0)


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return value * 2 + number.get()


async def fail() -> None:
    raise KeyError("gone")


@pytest.mark.parametrize("decorator", [threaded, threaded_separate])
async def test_a_thread_waits_on_the_loop_that_started_it(decorator: Any) -> None:
    def work() -> list[int]:
        number.set(1)
        return [
            sync_wait_coroutine(None, double, 1),
            wait_coroutine(double(2)),
            sync_await(double, 3),
            sync_await(lambda: asyncio.ensure_future(double(4))),
        ]

    assert [3, 5, 7, 9] == await decorator(work)()


async def test_pool_and_iterator_threads_know_their_loop() -> None:
    @threaded_iterable
    def numbers() -> Any:
        yield sync_await(double, 5)

    assert [10] == [n async for n in numbers()]
    with ThreadPoolExecutor(1) as pool:
        assert 12 == await pool.run(sync_await, double, 6)
        assert 14 == await asyncio.wrap_future(pool.submit(sync_await, double, 7))


async def test_errors_and_cancellations_come_back() -> None:
    with pytest.raises(KeyError, match="gone"):
        await threaded(lambda: sync_await(fail))()

    async def cancelled() -> None:
        raise asyncio.CancelledError

    def catch() -> str:
        try:
            sync_await(cancelled)
        except asyncio.CancelledError:
            return "cancelled"
        return "nothing"

    assert "cancelled" == await threaded(catch)()


async def test_the_loop_itself_must_not_wait() -> None:
    with pytest.raises(MisuseError, match="would block the loop"):
        sync_wait_coroutine(asyncio.get_running_loop(), double, 1)
    with pytest.raises(MisuseError):
        wait_coroutine(double(1), asyncio.get_running_loop())


def test_a_thread_that_no_loop_started_needs_one() -> None:
    with pytest.raises(RuntimeError, match="none started this thread"):
        sync_await(double, 1)


def test_a_closed_loop_is_an_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(ClosedError):
        sync_wait_coroutine(loop, double, 1)


def test_a_loop_that_closes_meanwhile_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            sync_wait_coroutine(loop, asyncio.sleep, 3600)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.close()
    thread.join(20)
    assert isinstance(caught[0], ClosedError)
    assert not caplog.records, "nothing else is said about it"
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # its end is what was tested
