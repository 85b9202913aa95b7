"""Which elements of an upstream's message are about which keys. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, TypeGuard  # Any: decoded messages of strangers

from mainspring.errors import DecodeError
from mainspring.transport._subscriptions import Key

RouterKeys: TypeAlias = Callable[[Any], Mapping[Key, int | Sequence[int]]]
"""From a decoded message, a list, to the index of each key's element in it, or to the indexes of its elements."""


def row_keys(field: str) -> RouterKeys:
    """Return a `router_keys` for messages that are lists of objects: the key is what `field` holds.

    Rows without it, or with something else than a text, a number or null there, reach only those who want everything.

    Example:
        >>> row_keys("sym")([{"sym": "A"}, {"sym": "B"}, {"sym": "A"}])
        {'A': [0, 2], 'B': [1]}
    """

    def find(rows: Any) -> dict[Key, list[int]]:
        found: defaultdict[Key, list[int]] = defaultdict(list)
        if not _is_list(rows):
            raise DecodeError(format="list of rows", reason="it is something else")
        for index, row in enumerate(rows):
            if _is_object(row) and field in row and isinstance(row[field], Key):
                found[row[field]].append(index)
        return dict(found)

    return find


def in_order(found: Mapping[Key, int | Sequence[int]]) -> list[tuple[int, Key]]:
    """Return each index with its key, in the order of the message."""
    places = [(index, key) for key, at in found.items() for index in ((at,) if isinstance(at, int) else at)]
    return sorted(places, key=itemgetter(0))


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)  # of JSON
