"""Telling apart what files and variables hold, in a way that type checkers follow."""

from collections.abc import Mapping
from typing import Any, TypeGuard  # Any: the values may be anything


def is_table(value: object) -> TypeGuard[Mapping[str, Any]]:  # Any: as above
    """Tell whether a value has keys."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:  # Any: as above
    """Tell whether a value is a list."""
    return isinstance(value, list)


def is_class(value: object) -> TypeGuard[type[Any]]:  # Any: as above
    """Tell whether a value is a class, and no generic form of one."""
    return isinstance(value, type)
