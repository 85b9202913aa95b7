"""`@threaded` and its kin keep the function and run it in a thread, submitted at the call."""

import asyncio
import concurrent.futures
import contextvars
import copy
import functools
import gc
import inspect
import pickle
import threading
import weakref
from collections.abc import Awaitable, Generator, Iterator
from typing import Any

import pytest

from mainspring.concurrency import (
    IteratorWrapper,
    IteratorWrapperSeparate,
    ThreadPoolExecutor,
    threaded,
    threaded_iterable,
    threaded_iterable_separate,
    threaded_separate,
)
from mainspring.errors import CoroutineFunctionError, InvalidArgumentError
from mainspring.testing import eventually

number = contextvars.ContextVar("number", default=0)


@threaded
def where(add: int = 0) -> tuple[int, str]:
    """Say where it runs."""
    return number.get() + add, threading.current_thread().name


@threaded_separate
def apart() -> threading.Thread:
    return threading.current_thread()


@threaded
def count(end: int) -> Generator[int]:
    yield from range(end)


class Shelf:
    """Compares equal to every other shelf."""

    def __init__(self, mark: int) -> None:
        self.mark = mark

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shelf)

    def __hash__(self) -> int:
        return 1

    @threaded
    def read(self, factor: int = 1) -> int:
        """Read the mark."""
        return self.mark * factor

    @threaded_iterable
    def pages(self) -> Iterator[int]:
        yield from range(self.mark)

    @threaded
    @staticmethod
    def fixed(value: int) -> int:
        return value

    @threaded
    @classmethod
    def named(cls, value: int) -> tuple[str, int]:
        return cls.__name__, value

    @classmethod
    @threaded
    def under(cls) -> str:
        return cls.__name__


@pytest.fixture
async def our_pool() -> Any:
    with ThreadPoolExecutor(2, statistic_name="ours") as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        yield pool


async def test_a_call_runs_in_our_default_pool_with_the_context_of_the_call(our_pool: ThreadPoolExecutor) -> None:
    number.set(1)
    first = where(add=10)
    number.set(2)
    second = where.async_call(20)
    (one, thread), (two, _) = await asyncio.gather(first, second)
    assert (11, 22) == (one, two)
    assert "from pool ours" in thread


async def test_our_pool_is_asked_for_an_asyncio_future(our_pool: ThreadPoolExecutor) -> None:
    """The fast way: no second future and no wake-up of its own."""
    calls: list[Awaitable[Any]] = [where() for _ in range(200)]
    assert all(isinstance(call, asyncio.Future) for call in calls)
    assert 200 == len(await asyncio.gather(*calls))


async def test_the_work_is_submitted_at_the_call_not_at_the_await(our_pool: ThreadPoolExecutor) -> None:
    started = threading.Event()
    call = threaded(started.set)()
    await eventually(started.is_set)
    await call


async def test_any_default_executor_serves() -> None:
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="foreign") as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        number.set(4)
        assert (4, "foreign_0") == await where()
        take: Any = threaded(next)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await take(iter(()))
        assert [0, 1] == [n async for n in count(2)]


def test_without_a_loop_the_call_waits_for_one() -> None:
    token = number.set(7)
    call: Any = where()
    number.reset(token)
    assert 7 == asyncio.run(call)[0]
    assert inspect.iscoroutine(call)


def test_the_function_stays_what_it_was() -> None:
    assert "where" == where.__name__
    assert "Say where it runs." == where.__doc__
    assert "add" in inspect.signature(where).parameters
    assert ["factor"] == list(inspect.signature(Shelf(1).read).parameters)
    assert "Read the mark." == Shelf(1).read.__doc__
    assert (5, threading.current_thread().name) == where.sync_call(5)
    assert "where" in repr(where)


def test_it_travels_by_name() -> None:
    assert where is copy.deepcopy(where)
    bound = pickle.loads(pickle.dumps(Shelf(3).read)) if __name__ in __import__("sys").modules else Shelf(3).read
    assert 3 == bound.sync_call()


async def test_methods_are_those_of_their_own_instance() -> None:
    one, two = Shelf(1), Shelf(2)
    assert (1, 2, 6) == tuple(await asyncio.gather(one.read(), two.read(), two.read(factor=3)))
    assert [0, 1] == [n async for n in two.pages()]
    assert one.read == one.read
    assert one.read != two.read.sync_call
    assert hash(one.read) == hash(one.read)
    assert 4 == await Shelf.read(Shelf(4))


async def test_methods_keep_no_instance_alive() -> None:
    shelves = [Shelf(n) for n in range(5)]
    await asyncio.gather(*(shelf.read() for shelf in shelves))
    references = [weakref.ref(shelf) for shelf in shelves]
    shelves.clear()
    await eventually(lambda: gc.collect() >= 0 and not any(reference() for reference in references))


async def test_it_stands_above_static_and_class_methods() -> None:
    shelf: Any = Shelf  # Any: the checkers do not follow a decorator above these two
    assert 5 == await shelf.fixed(5)
    assert 5 == await shelf(1).fixed(5)
    assert ("Shelf", 6) == await shelf.named(6)
    assert ("Shelf", 6) == await shelf(1).named(6)
    assert "Shelf" == await shelf.under()


async def test_all_four_work_with_empty_arguments() -> None:
    """`@threaded()` was a TypeError."""

    @threaded()
    def double(value: int) -> int:
        return 2 * value

    @threaded_separate()
    def triple(value: int) -> int:
        return 3 * value

    @threaded()
    def pages(end: int) -> Generator[int]:
        yield from range(end)

    @threaded_iterable()
    def lines(end: int) -> Iterator[int]:
        yield from range(end)

    @threaded_iterable_separate()
    def words(end: int) -> Iterator[int]:
        yield from range(end)

    assert [4, 6] == [await double(2), await triple(2)]
    assert "double" == double.__name__
    for iterable in (pages, lines, words):
        assert [0, 1] == [n async for n in iterable(2)]


async def test_separate_takes_a_thread_of_its_own() -> None:
    thread, other = await asyncio.gather(apart(), apart())
    assert thread is not other
    assert thread.daemon
    assert "separate apart" == thread.name


@pytest.mark.parametrize("decorator", [threaded_separate(False), threaded_separate(detach=False)])
async def test_detach_false_holds_the_program(decorator: Any) -> None:
    thread = await decorator(threading.current_thread)()
    assert not thread.daemon


async def test_separate_raises_what_the_function_raised() -> None:
    def fail() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        await threaded_separate(fail)()


def test_separate_waits_for_a_loop_too() -> None:
    call: Any = apart()
    assert isinstance(asyncio.run(call), threading.Thread)


async def test_generator_functions_become_iterables() -> None:
    assert isinstance(count(3), IteratorWrapper)
    assert isinstance(threaded_separate(count.__wrapped__)(3), IteratorWrapperSeparate)
    assert [0, 1, 2] == [n async for n in count.async_call(3)]
    assert [0, 1] == list(count.sync_call(2))


async def test_iterables_take_a_size_and_a_thread() -> None:
    @threaded_iterable(max_size=2)
    def pooled() -> Iterator[int]:
        yield from range(3)

    @threaded_iterable_separate(max_size=0)
    def separate() -> Iterator[str]:
        yield threading.current_thread().name

    @threaded_iterable_separate
    def bare() -> Iterator[int]:
        yield 1

    assert [0, 1, 2] == [n async for n in pooled()]
    assert ["iterator" in name async for name in separate()] == [True]
    assert [1] == [n async for n in bare()]


@pytest.mark.parametrize(
    "decorator",
    [threaded, threaded_separate, threaded_iterable, threaded_iterable_separate, threaded(), threaded_separate(True)],
)
def test_coroutine_functions_are_refused(decorator: Any) -> None:
    async def coroutine_function() -> None: ...

    with pytest.raises(TypeError, match="coroutine_function is a coroutine function and needs no thread"):
        decorator(coroutine_function)
    with pytest.raises(CoroutineFunctionError):
        decorator(staticmethod(coroutine_function))
    with pytest.raises(InvalidArgumentError):
        decorator("text")


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="max_size=-1"):
        threaded_iterable(max_size=-1)


async def test_callables_that_are_no_methods_stay_unbound() -> None:
    class Holder:
        double: Any = threaded(functools.partial(int.__mul__, 2))

    assert 6 == await Holder().double(3)
