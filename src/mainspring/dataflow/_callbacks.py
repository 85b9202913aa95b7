"""What a stage's callback is, found out once: plain or async, function or generator, and what it wants to get."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard, get_type_hints  # Any: messages are what a program makes them

from mainspring.base import decode_json

Callback: TypeAlias = Callable[..., Any]

PLAIN_TYPES: Final = frozenset({dict, list, str, int, float, bool, tuple})
"""The types of results that are one message: nothing to await or to iterate."""

_RAW: Final = (bytes, memoryview)


@dataclass(frozen=True, slots=True)
class MessageCallback:
    """A callback for messages, and how a payload becomes its argument."""

    call: Callable[..., Any]
    wants: Any  # a type, or Any

    @classmethod
    def inspect(cls, function: Callable[..., Any]) -> "MessageCallback":
        """Look at the second parameter's annotation."""
        return cls(function, _second_type(function))

    def decode(self, payload: bytes | memoryview) -> Any:
        """Return the argument for a payload.

        Raises:
            DecodeError: it is not JSON, or does not fit the annotation.
        """
        if self.wants in _RAW:
            return bytes(payload)
        return decode_json(payload, self.wants)


async def send_all(result: Any, send: Callable[[Any], object], pause: Callable[[], Awaitable[None]]) -> None:
    """Send what a callback gave: nothing, a value, or each value of a generator; await it first if it waits."""
    if _is_awaitable(result):
        result = await result
    if _is_async_iterator(result):
        async for one in result:
            send(one)
            await pause()
    elif _is_iterator(result):
        for one in result:
            send(one)
            await pause()
    elif result is not None:
        send(result)


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return isinstance(value, Awaitable)


def _is_async_iterator(value: Any) -> TypeGuard[AsyncIterator[Any]]:
    return isinstance(value, AsyncIterator)


def _is_iterator(value: Any) -> TypeGuard[Iterator[Any]]:
    return isinstance(value, Iterator)


def _second_type(function: Callable[..., Any]) -> Any:
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = get_type_hints(function if inspect.isroutine(function) else type(function).__call__)
    except (TypeError, ValueError, NameError):
        return Any
    return hints.get(parameters[1].name, Any) if len(parameters) > 1 else Any
