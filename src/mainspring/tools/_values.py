"""Telling apart what files and variables hold, in a way that type checkers follow."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, cast  # Any: the values may be anything

from mainspring.errors import InvalidArgumentError


def is_table(value: object) -> TypeGuard[Mapping[str, Any]]:  # Any: as above
    """Tell whether a value has keys."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:  # Any: as above
    """Tell whether a value is a list."""
    return isinstance(value, list)


def is_class(value: object) -> TypeGuard[type[Any]]:  # Any: as above
    """Tell whether a value is a class, and no generic form of one."""
    return isinstance(value, type)


def check_text(argument: str, value: object, *, empty: bool = False) -> str:
    """Return a value that is a text; an empty one only where that may be.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(value, str) or not (value or empty):
        raise InvalidArgumentError(argument=argument, value=value, expected=f"a text{'' if empty else ', not empty'}")
    return value


def items_of(value: object) -> list[object]:
    """Return what is in a list or another collection; nothing for a text and for what is no collection."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return []
    return list(cast("Iterable[object]", value))  # cast: isinstance leaves the items unknown
