"""Faults at a chosen call: every place where a program touches the world fails once, in turn."""

import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal, ParamSpec, TypeVar, cast  # Any: objects that are patched may be anything

from mainspring.errors import InvalidArgumentError

P = ParamSpec("P")
R = TypeVar("R")


class FailNth:
    """Counts calls of what it wraps, and raises `error` at the n-th.

    Run a scenario once with `n=None` to count its calls, then once for each n up to `calls`: no call is left
    whose failure was not tried. One instance may wrap several callables; they share the count. Counting is
    exact on one thread.

    Args:
        error: an exception, or a class of them to be called without arguments.
        n: the first call that fails, from 1; None for never.
        times: how many calls fail from there on; None for all.
        moment: "before", nothing of the call happens; "after", it is done but its answer is lost.

    Raises:
        InvalidArgumentError: `n` or `times` is below 1.

    Example:
        >>> fault = FailNth(OSError("disk on fire"), 2)
        >>> write = fault.wrap(len)
        >>> write("abc")
        3
        >>> write("abc")
        Traceback (most recent call last):
        OSError: disk on fire
    """

    def __init__(
        self,
        error: BaseException | type[BaseException],
        n: int | None,
        *,
        times: int | None = 1,
        moment: Literal["before", "after"] = "before",
    ) -> None:
        for argument, value in (("n", n), ("times", times)):
            if value is not None and value < 1:
                raise InvalidArgumentError(argument=argument, value=value, expected="an int >= 1, or None")
        if moment not in ("before", "after"):
            raise InvalidArgumentError(argument="moment", value=moment, expected='"before" or "after"')
        self._error = error
        self._first = n
        self._times = times
        self._moment = moment
        self.calls = 0
        self.failures = 0

    def __repr__(self) -> str:
        return f"<FailNth {self._error!r} n={self._first} calls={self.calls} failures={self.failures}>"

    def wrap(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return `function`, plain or async, with its calls counted and the chosen ones failing."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapped_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._call():
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", wrapped_async)  # an async function that R describes

        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._call():
                return function(*args, **kwargs)

        return wrapped

    @contextmanager
    def patch(self, target: Any, attribute: str) -> Generator["FailNth"]:
        """Wrap `target.attribute` inside the block: of a module, a class or an object.

        Raises:
            AttributeError: there is no such attribute.
            TypeError: (from Python) the target is a built-in type, whose attributes cannot be set.
        """
        stored = inspect.getattr_static(target, attribute)
        own = attribute in getattr(target, "__dict__", {})
        setattr(target, attribute, self._wrap_stored(target, attribute, stored))
        try:
            yield self
        finally:
            if own:
                setattr(target, attribute, stored)
            else:
                delattr(target, attribute)

    def _wrap_stored(self, target: Any, attribute: str, stored: Any) -> Any:
        if isinstance(target, type) and type(stored) in (staticmethod, classmethod):
            return type(stored)(self.wrap(stored.__func__))
        if isinstance(target, type):
            return self.wrap(stored)  # a plain function, bound when it is read
        return self.wrap(getattr(target, attribute))

    @contextmanager
    def _call(self) -> Generator[None]:
        self.calls += 1
        fails = self._is_chosen(self.calls)
        self.failures += fails
        if fails and self._moment == "before":
            raise self._error
        yield
        if fails:
            raise self._error

    def _is_chosen(self, call: int) -> bool:
        if self._first is None or call < self._first:
            return False
        return self._times is None or call < self._first + self._times
