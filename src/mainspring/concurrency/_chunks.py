"""chunk_list: an iterable in pieces."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from mainspring.errors import InvalidArgumentError

T = TypeVar("T")


def chunk_list(iterable: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last may be shorter.

    Raises:
        InvalidArgumentError: `size` is below 1.

    Example:
        >>> list(chunk_list(range(5), 2))
        [[0, 1], [2, 3], [4]]
    """
    if size < 1:
        raise InvalidArgumentError(argument="size", value=size, expected="at least 1")
    return _chunks(iter(iterable), size)


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
