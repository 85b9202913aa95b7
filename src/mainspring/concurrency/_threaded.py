"""`@threaded`, `@threaded_separate` and their iterable forms: blocking functions that a coroutine can use."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextvars import copy_context
from typing import (
    Any,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Self,
    TypeVar,
    overload,
)  # Any: what generators and coroutines send and receive, signatures of wrapped functions

from mainspring.base import outside_work
from mainspring.concurrency._loop_call import LoopCall, as_coroutines_raise
from mainspring.concurrency._loop_inbox import LoopInbox
from mainspring.concurrency._thread_iterator import DEFAULT_MAX_SIZE, IteratorWrapper, IteratorWrapperSeparate
from mainspring.errors import CoroutineFunctionError, InvalidArgumentError

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")


class _Wrapped(Generic[P, T]):
    """What all forms share: the function's name, doc and signature, pickling by name, and binding as a method."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, T]

    def __init__(self, function: Callable[P, T]) -> None:
        wrapper: Any = self  # Any: the subclasses are callable
        functools.update_wrapper(wrapper, function)
        self._function = function

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._function!r}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, _Wrapped) and self._function == other._function

    def __hash__(self) -> int:
        return hash(self._function)

    def __reduce__(self) -> Any:  # Any: as object.__reduce__
        if inspect.ismethod(self._function):
            return getattr, (self._function.__self__, self._function.__name__)
        return self.__qualname__

    def sync_call(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function here and now."""
        return self._function(*args, **kwargs)

    def _bind(self, instance: object, owner: type | None) -> Self:
        """Return this as a method of `instance`. A new object each time: nothing remembers the instance."""
        bind = getattr(self._function, "__get__", None)
        # A partial is no method, though Python 3.13 warns that it will be.
        if (
            bind is None
            or isinstance(self._function, functools.partial)
            or (instance is None and not isinstance(self._function, (classmethod, staticmethod)))
        ):
            return self
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound._function = bound.__dict__["__wrapped__"] = bind(instance, owner)
        return bound


class Threaded(_Wrapped[P, T]):
    """A blocking function; calling it runs it in a thread of the loop's default executor."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run the function in a thread, with the context variables of this moment; await its result.

        On a running loop the work is submitted now. Where none runs, the coroutine that is returned submits it
        when it is awaited.
        """
        call = LoopCall(copy_context(), self._function, args, kwargs)
        loop = asyncio._get_running_loop()
        return self._when_awaited(call) if loop is None else self._start(loop, call)

    async_call = __call__

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: "Threaded[Concatenate[S, Q], T]", instance: S, owner: type | None = None) -> "Threaded[Q, T]": ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:  # Any: the overloads say it
        return self._bind(instance, owner)

    def _start(self, loop: asyncio.AbstractEventLoop, call: LoopCall[T]) -> "asyncio.Future[T]":
        call.loop = loop
        return loop.run_in_executor(None, call)

    async def _when_awaited(self, call: LoopCall[T]) -> T:
        return await self._start(asyncio.get_running_loop(), call)


class ThreadedSeparate(Threaded[P, T]):
    """A blocking function; calling it runs it in a new thread of its own."""

    detach = True

    def _start(self, loop: asyncio.AbstractEventLoop, call: LoopCall[T]) -> "asyncio.Future[T]":
        call.loop = loop
        inbox = LoopInbox.of(loop)
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as caught:  # noqa: BLE001  # supervisor: the caller gets it
                error = caught
            inbox.deliver(future, result, as_coroutines_raise(error))
            del error  # it refers to this frame, which refers to it

        name = f"separate {getattr(self, '__qualname__', 'call')}"
        threading.Thread(target=run, name=name, daemon=self.detach).start()
        outside_work.count += 1
        return future


class ThreadedIterable(_Wrapped[P, Iterable[T]], Generic[P, T]):
    """A generator function; calling it gives an `IteratorWrapper` that runs it in a thread."""

    wrapper: type[IteratorWrapper[Any]] = IteratorWrapper
    max_size = DEFAULT_MAX_SIZE

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> IteratorWrapper[T]:
        """Return an async iterator over what the generator yields; it starts at the first iteration."""
        return self.wrapper(functools.partial(self._function, *args, **kwargs), max_size=self.max_size)

    async_call = __call__

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: "ThreadedIterable[Concatenate[S, Q], T]", instance: S, owner: type | None = None
    ) -> "ThreadedIterable[Q, T]": ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:  # Any: the overloads say it
        return self._bind(instance, owner)


class _IterableDecorator:
    """`threaded_iterable(max_size=...)`, waiting for its function."""

    def __init__(self, wrapper: type[IteratorWrapper[Any]], max_size: int) -> None:
        if max_size < 0:
            raise InvalidArgumentError(argument="max_size", value=max_size, expected="0 (unbounded) or more")
        self._wrapper = wrapper
        self._max_size = max_size

    def __call__(self, func: Callable[P, Iterable[T]]) -> ThreadedIterable[P, T]:
        _refuse_coroutine_function(func)
        threaded_function = ThreadedIterable(func)
        threaded_function.wrapper = self._wrapper
        threaded_function.max_size = self._max_size
        return threaded_function


@overload
def threaded(  # type: ignore[overload-overlap]  # the first that fits is meant
    func: Callable[P, Generator[T, Any, Any]],  # pyright: ignore[reportOverlappingOverload]
) -> ThreadedIterable[P, T]: ...
@overload
def threaded(func: Callable[P, Coroutine[Any, Any, Any]]) -> NoReturn: ...
@overload
def threaded(func: Callable[P, T]) -> Threaded[P, T]: ...
@overload
def threaded(func: None = None) -> "_ThreadedDecorator": ...
def threaded(func: Callable[..., Any] | None = None) -> Any:  # Any: the overloads say it
    """Make a blocking function awaitable: it runs in a thread of the loop's default executor.

    Use it bare or as `@threaded()`. A generator function becomes a `threaded_iterable`. `.sync_call()` calls the
    function itself. Works on methods, and above `@staticmethod` and `@classmethod`.

    Raises:
        CoroutineFunctionError: `func` is a coroutine function.

    Example:
        >>> @threaded
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> asyncio.run(add(2, 3))
        5
        >>> add.sync_call(2, 3)
        5
    """
    if func is None:
        return _ThreadedDecorator()
    if _is_generator_function(func):
        return threaded_iterable(func)
    _refuse_coroutine_function(func)
    return Threaded(func)


class _ThreadedDecorator:
    """`threaded()`, waiting for its function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits is meant
        self,
        func: Callable[P, Generator[T, Any, Any]],  # pyright: ignore[reportOverlappingOverload]
    ) -> ThreadedIterable[P, T]: ...
    @overload
    def __call__(self, func: Callable[P, T]) -> Threaded[P, T]: ...
    def __call__(self, func: Callable[..., Any]) -> Any:  # Any: the overloads say it
        return threaded(func)


@overload
def threaded_separate(func: bool = True, detach: bool = True) -> "_SeparateDecorator": ...
@overload
def threaded_separate(  # type: ignore[overload-overlap]  # the first that fits is meant
    func: Callable[P, Generator[T, Any, Any]],  # pyright: ignore[reportOverlappingOverload]
    detach: bool = True,
) -> ThreadedIterable[P, T]: ...
@overload
def threaded_separate(func: Callable[P, Coroutine[Any, Any, Any]], detach: bool = True) -> NoReturn: ...
@overload
def threaded_separate(func: Callable[P, T], detach: bool = True) -> ThreadedSeparate[P, T]: ...
def threaded_separate(func: Any = True, detach: bool = True) -> Any:  # Any: the overloads say it
    """Make a blocking function awaitable: it runs in a new thread, for what takes long.

    Use it bare, as `@threaded_separate(detach=False)` or as `@threaded_separate(False)`. A generator function
    becomes a `threaded_iterable_separate`.

    Args:
        func: the function, or the value of `detach` for a decorator.
        detach: whether the program may end while the thread runs (a daemon thread).

    Raises:
        CoroutineFunctionError: `func` is a coroutine function.
    """
    if isinstance(func, bool):
        return _SeparateDecorator(detach=func and detach)
    separate: Any = _SeparateDecorator(detach=detach)  # Any: the overloads say it
    return separate(func)


class _SeparateDecorator:
    """`threaded_separate(...)`, waiting for its function."""

    def __init__(self, *, detach: bool) -> None:
        self._detach = detach

    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first that fits is meant
        self,
        func: Callable[P, Generator[T, Any, Any]],  # pyright: ignore[reportOverlappingOverload]
    ) -> ThreadedIterable[P, T]: ...
    @overload
    def __call__(self, func: Callable[P, T]) -> ThreadedSeparate[P, T]: ...
    def __call__(self, func: Callable[..., Any]) -> Any:  # Any: the overloads say it
        if _is_generator_function(func):
            return threaded_iterable_separate(func)
        _refuse_coroutine_function(func)
        separate = ThreadedSeparate(func)
        separate.detach = self._detach
        return separate


@overload
def threaded_iterable(func: Callable[P, Iterable[T]], *, max_size: int = ...) -> ThreadedIterable[P, T]: ...
@overload
def threaded_iterable(func: None = None, *, max_size: int = ...) -> _IterableDecorator: ...
def threaded_iterable(func: Any = None, *, max_size: int = DEFAULT_MAX_SIZE) -> Any:  # Any: the overloads say it
    """Make a generator function an async one: it runs in a thread of the loop's default executor.

    Calling it gives an `IteratorWrapper`. `.sync_call()` gives the plain generator.

    Args:
        func: the generator function, or any that returns an iterable.
        max_size: items that may wait for the consumer; the generator pauses at the limit. 0 is unbounded.

    Raises:
        CoroutineFunctionError: `func` is a coroutine function.
        InvalidArgumentError: `max_size` is below 0.

    Example:
        >>> @threaded_iterable(max_size=2)
        ... def count(end: int) -> Iterable[int]:
        ...     yield from range(end)
        >>> async def main() -> list[int]:
        ...     return [n async for n in count(3)]
        >>> asyncio.run(main())
        [0, 1, 2]
    """
    decorator = _IterableDecorator(IteratorWrapper, max_size)
    return decorator if func is None else decorator(func)


@overload
def threaded_iterable_separate(func: Callable[P, Iterable[T]], *, max_size: int = ...) -> ThreadedIterable[P, T]: ...
@overload
def threaded_iterable_separate(func: None = None, *, max_size: int = ...) -> _IterableDecorator: ...
def threaded_iterable_separate(
    func: Any = None,  # Any: the overloads say it
    *,
    max_size: int = DEFAULT_MAX_SIZE,
) -> Any:
    """Do what `threaded_iterable` does, in a daemon thread of its own."""
    decorator = _IterableDecorator(IteratorWrapperSeparate, max_size)
    return decorator if func is None else decorator(func)


def _is_generator_function(func: Callable[..., object]) -> bool:
    return inspect.isgeneratorfunction(getattr(func, "__func__", func))


def _refuse_coroutine_function(func: Callable[..., object]) -> None:
    inner: Callable[..., object] = getattr(func, "__func__", func)
    if not callable(inner):
        raise InvalidArgumentError(argument="func", value=func, expected="a callable")
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise CoroutineFunctionError(function=getattr(func, "__qualname__", repr(func)))
