"""One blocking call in a thread of its own, for the rare and slow: starting a process."""

import asyncio
import errno
import threading
from collections.abc import Callable
from typing import TypeVar

from mainspring.base import outside_work

T = TypeVar("T")


async def in_own_thread(call: Callable[[], T], *, abandoned: Callable[[T], object], name: str) -> T:
    """Wait for `call()` in a new thread.

    A cancelled waiter still waits for the thread, which may use what the waiter is about to close; then
    `abandoned` gets the result. It gets it in the thread when the loop is closed by then.

    Raises:
        OSError: the system has no thread left.
        Exception: what `call` raised.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # supervisor: the waiter gets it
            _hand_over(loop, fail, error)
            return
        if not _hand_over(loop, succeed, result):
            abandoned(result)

    def succeed(result: T) -> None:
        thread.join()  # it has nothing left to do
        future.set_result(result)

    def fail(error: BaseException) -> None:
        thread.join()
        future.set_exception(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    outside_work.count += 1
    try:
        return await asyncio.shield(future)  # shielded: the thread cannot be cancelled
    except asyncio.CancelledError:
        await _until_done(future)
        if future.exception() is None:
            abandoned(future.result())
        raise
    finally:
        outside_work.count -= 1


async def _until_done(future: "asyncio.Future[T]") -> None:
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            continue


def _hand_over(loop: asyncio.AbstractEventLoop, callback: Callable[[T], object], value: T) -> bool:
    try:
        loop.call_soon_threadsafe(callback, value)
    except RuntimeError:  # the loop is closed
        return False
    return True
