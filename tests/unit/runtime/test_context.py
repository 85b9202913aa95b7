"""Services wait for one another's values."""

import asyncio
import gc
import weakref
from threading import Thread

import pytest

from mainspring.base import get_statistics
from mainspring.errors import ClosedError
from mainspring.runtime import Context, ContextStatistic, get_context


async def test_a_waiter_that_gives_up_takes_nothing_from_the_others() -> None:
    with Context() as context:
        impatient = asyncio.create_task(asyncio.wait_for(context["key"], 0))
        patient = asyncio.ensure_future(context["key"])
        with pytest.raises(TimeoutError):
            await impatient
        context["key"] = 42
        assert 42 == await patient
        assert 42 == await context["key"]
        context["key"] = 43
        await asyncio.sleep(0)
        assert 43 == await context["key"]
        assert "values=1 waiting=0" in repr(context)


async def test_a_value_set_in_a_thread_arrives() -> None:
    with Context() as context:
        waiting = context["key"]
        thread = Thread(target=context.__setitem__, args=("key", 1))
        thread.start()
        assert 1 == await waiting
        thread.join()


async def test_the_context_of_a_loop_is_found_until_it_is_closed() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(KeyError):
        get_context()
    context = Context()
    assert context is get_context() is get_context(loop)
    waiting = context["key"]
    context.close()
    assert waiting.cancelled()
    for use in (lambda: context["key"], lambda: context.__setitem__("key", 1)):
        with pytest.raises(ClosedError):
            use()
    with pytest.raises(KeyError):
        get_context(loop)
    Context().close()
    context.close()


async def test_the_context_of_the_program_around_comes_back() -> None:
    outer, middle, inner = Context(), Context(), Context()
    assert inner is get_context()
    middle.close()
    assert inner is get_context()
    inner.close()
    assert outer is get_context()
    outer.close()
    with pytest.raises(KeyError):
        get_context()


async def test_closed_contexts_are_let_go() -> None:
    """As of a program that opens the next one and then closes the one before, again and again."""
    closed: list[weakref.ref[Context]] = []
    opened = [Context()]
    for _ in range(3):
        opened.append(Context())
        opened[0].close()
        closed.append(weakref.ref(opened.pop(0)))
    gc.collect()
    assert [None] * 3 == [one() for one in closed]
    opened[0].close()


def test_a_closed_loop_has_no_context() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        get_context(loop)


async def test_gets_and_sets_are_counted() -> None:
    with Context() as context:
        context["key"] = 1
        await context["key"]
        counts = [result.value for result in get_statistics(ContextStatistic)]
        assert [1, 1] == counts[-2:]
