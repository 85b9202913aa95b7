"""A blocking call in a thread of its own ends before its waiter does."""

import asyncio
import threading

import pytest

from mainspring.base import outside_work
from mainspring.concurrency._own_thread import in_own_thread


def refuse() -> str:
    raise LookupError("no")


async def test_the_result_comes_back() -> None:
    before = outside_work.count
    assert await in_own_thread(lambda: "x", abandoned=print, name="one") == "x"
    assert before == outside_work.count


async def test_the_error_comes_back() -> None:
    with pytest.raises(LookupError):
        await in_own_thread(refuse, abandoned=print, name="one")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_waiter_waits_for_the_thread(fails: bool) -> None:
    gate, given_up = threading.Event(), list[str]()

    def call() -> str:
        assert gate.wait(20)
        return refuse() if fails else "late"

    waiting = asyncio.create_task(in_own_thread(call, abandoned=given_up.append, name="held"))
    await asyncio.sleep(0)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ([] if fails else ["late"]) == given_up
    assert not any(thread.name == "held" for thread in threading.enumerate())


@pytest.mark.parametrize("fails", [False, True])
def test_a_closed_loop_gives_the_result_up_in_the_thread(fails: bool) -> None:
    gate, given_up = threading.Event(), list[str]()

    def call() -> str:
        assert gate.wait(20)
        return refuse() if fails else "late"

    loop = asyncio.new_event_loop()
    waiting = in_own_thread(call, abandoned=given_up.append, name="held")
    before = outside_work.count
    task = loop.create_task(waiting)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "held":
            thread.join(20)
    assert ([] if fails else ["late"]) == given_up
    waiting.close()  # now, or the collector would count down in the midst of another test
    assert before == outside_work.count
    task._log_destroy_pending = False  # type: ignore[attr-defined]


async def test_a_thread_that_the_system_refuses_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = outside_work.count
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(OSError, match="can't start new thread"):
        await in_own_thread(refuse, abandoned=print, name="one")
    assert before == outside_work.count
