"""What is shown of values that programs made: JSON, whatever they are."""

import math
from typing import Any, TypeGuard  # Any: configs and items hold anything

from mainspring.base import decode_json, encode_json
from mainspring.errors import EncodeError


def plain(value: Any) -> Any:  # Any: as above
    """Return a value as JSON takes it: bytes as text, numbers that are none as null, other things as their type."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # halves of characters have no UTF-8
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float):
        return finite(value)
    if _is_table(value):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if _is_row(value):
        return [plain(inner) for inner in value]
    try:
        return decode_json(encode_json(value))
    except EncodeError:
        return f"<{type(value).__name__}>"


def finite(value: float) -> float | None:
    """Return a number, None for one that JSON cannot say."""
    return value if math.isfinite(value) else None


def _is_table(value: object) -> TypeGuard[dict[Any, Any]]:  # Any: as above
    return isinstance(value, dict)


def _is_row(value: object) -> TypeGuard[list[Any]]:  # Any: as above
    return isinstance(value, list | tuple)
