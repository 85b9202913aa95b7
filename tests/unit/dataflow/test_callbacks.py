"""A callback is looked at once: what it wants to get, and how what it gives is sent."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mainspring.dataflow._callbacks import MessageCallback, send_all
from mainspring.errors import DecodeError


@dataclass
class Trade:
    """A message with a type."""

    price: float


def raw(p: object, message: bytes) -> None: ...
def typed(p: object, message: Trade) -> None: ...
def plain(p: object, message: object) -> None: ...
def unknown(p: object, message: int) -> None: ...
def anything(*arguments: object) -> None: ...
def pair(p: object, message: Any) -> None: ...


plain.__annotations__.clear()  # as programs without types write them
unknown.__annotations__["message"] = "Missing"


class Callee:
    """A callable object."""

    def __call__(self, p: object, message: Trade) -> None: ...


@pytest.mark.parametrize(
    ("callback", "expected"),
    list[tuple[Any, object]](
        [
            (raw, b'{"price":1}'),
            (typed, Trade(1.0)),
            (Callee(), Trade(1.0)),
            (plain, {"price": 1}),
            (unknown, {"price": 1}),
            (pair, {"price": 1}),
            (anything, {"price": 1}),
            (dict, {"price": 1}),
        ]
    ),
)
def test_the_annotation_of_the_second_parameter_says_what_it_gets(callback: Any, expected: object) -> None:
    assert expected == MessageCallback.inspect(callback).decode(memoryview(b'{"price":1}'))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DecodeError):
        MessageCallback.inspect(typed).decode(b'{"price":"x"}')


async def generate() -> AsyncIterator[int]:
    yield 1
    yield 2


async def give(value: object) -> object:
    return value


def iterate() -> Iterator[int]:
    yield 1
    yield 2


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: None, []),
        (lambda: 5, [5]),
        (lambda: [1, 2], [[1, 2]]),
        (iterate, [1, 2]),
        (generate, [1, 2]),
        (lambda: give(3), [3]),
        (lambda: give(None), []),
        (lambda: give(iterate()), [1, 2]),
    ],
)
async def test_what_a_callback_gives_is_sent(make: Any, expected: list[object]) -> None:
    sent: list[object] = []
    pauses: list[None] = []

    async def pause() -> None:
        pauses.append(None)

    await send_all(make(), sent.append, pause)
    assert expected == sent
