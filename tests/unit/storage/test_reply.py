"""An answer reaches whoever awaits it and whoever left a callback, once, whatever happens to the others."""

import asyncio

import pytest

from mainspring.storage import Reply, reply_of


async def test_callbacks_are_called_in_order_as_soon_as_it_is_there() -> None:
    reply: Reply[int] = Reply()
    told: list[tuple[str, int]] = []
    reply.then(lambda one: told.append(("first", one.result())))
    reply.then(lambda one: told.append(("second", one.result())))
    assert (repr(reply), reply.done(), told) == ("<Reply on its way>", False, [])
    reply.set_result(3)
    reply.then(lambda one: told.append(("late", one.result())))
    assert (repr(reply), reply.done()) == ("<Reply done>", True)
    assert [("first", 3), ("second", 3), ("late", 3)] == told


async def test_callbacks_get_their_own_arguments_first() -> None:
    reply: Reply[int] = Reply()
    told: list[tuple[str, int, int]] = []

    def tell(word: str, number: int, one: Reply[int]) -> None:
        told.append((word, number, one.result()))

    reply.then(tell, "first", 1)
    reply.then(tell, "second", 2)
    reply.then(tell, "third", 3)
    reply.set_result(7)
    reply.then(tell, "late", 4)
    assert [("first", 1, 7), ("second", 2, 7), ("third", 3, 7), ("late", 4, 7)] == told


async def test_it_can_be_awaited_before_and_after() -> None:
    reply: Reply[int] = Reply()
    waiting = [asyncio.ensure_future(reply) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    reply.set_result(5)
    assert (5, 5) == (await waiting[0], await waiting[2])
    assert 5 == await reply


async def test_an_error_is_raised_to_each() -> None:
    reply: Reply[int] = Reply()
    waiting = asyncio.ensure_future(reply)
    await asyncio.sleep(0)
    reply.set_exception(KeyError("it"))
    for awaitable in (waiting, reply):
        with pytest.raises(KeyError, match="it"):
            await awaitable


async def test_a_callback_that_fails_takes_nobody_else_along() -> None:
    reply: Reply[int] = Reply()
    told: list[int] = []
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(str(context["exception"])))
    reply.then(lambda one: told.insert(0, told[one.result()]))
    reply.then(lambda one: told.append(one.result()))
    reply.set_result(1)
    assert [1] == told
    assert ["list index out of range"] == said


async def test_any_awaitable_can_be_a_reply() -> None:
    async def answer() -> int:
        return 7

    async def refuse() -> int:
        raise KeyError("no")

    known: Reply[int] = Reply()
    assert reply_of(known) is known
    assert 7 == await reply_of(answer())
    with pytest.raises(KeyError, match="no"):
        await reply_of(refuse())
    given_up = reply_of(asyncio.sleep(60))
    assert given_up.task is not None
    given_up.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
