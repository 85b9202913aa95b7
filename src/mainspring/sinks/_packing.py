"""Items as bytes: how they wait in memory, in the stage and in the spool, each type coming back as itself."""

import sys
from collections.abc import Sequence
from typing import Any, Final  # Any: items have any type

from mainspring.base import decode_msgpack, encode_msgpack
from mainspring.errors import DecodeError, EncodeError, InvalidItemError

_ARRAY: Final = b"\xdd"  # MessagePack: an array whose length follows in 4 bytes
_AS_THEY_ARE: Final = frozenset({dict, list, str, bytes, int, float, bool, type(None)})
_OPAQUE_BYTES: Final = 1_024  # what an object without a form counts for, beside its attributes


class Packer:
    """Packs items in order; a type whose items do not come back as themselves is refused at its first item."""

    __slots__ = ("_items", "_label", "_numbers", "_segments", "_type", "count", "size", "types")

    def __init__(self, label: str) -> None:
        self.types: list[type] = []
        self.count = 0
        self.size = 0
        self._label = label
        self._numbers: dict[type, int] = {}
        self._segments: list[tuple[int, list[bytes]]] = []
        self._items: list[bytes] = []
        self._type: type | None = None

    def add(self, item: object) -> int:
        """Pack one item; return how many bytes it took.

        Raises:
            EncodeError: a part of it has no form.
            InvalidItemError: its type cannot be made again from its form.
        """
        data = encode_msgpack(item)
        if type(item) is not self._type:
            self._turn_to(type(item), data)
        self._items.append(data)
        self.count += 1
        self.size += len(data)
        return len(data)

    def cut(self) -> bytes:
        """Return what was packed since the last cut, as one payload, and forget it."""
        segments = [(number, _array(items)) for number, items in self._segments if items]
        self._segments.clear()
        self._type = None
        self.count = self.size = 0
        return encode_msgpack(segments)

    def _turn_to(self, item_type: type, data: bytes) -> None:
        number = self._numbers.get(item_type)
        if number is None:
            check_form(item_type, data, sink=self._label)
            number = self._numbers[item_type] = len(self.types)
            self.types.append(item_type)
        self._items = []
        self._segments.append((number, self._items))
        self._type = item_type


def unpack(payload: bytes, types: Sequence[type]) -> list[Any]:
    """Return the items of a payload; `types` is what the packer had.

    Raises:
        DecodeError: these are not the bytes that were packed.
    """
    items: list[Any] = []
    for number, data in decode_msgpack(payload, list[tuple[int, bytes]]):
        items += decode_msgpack(data, list[wanted(types[number])])  # type: ignore[misc]  # a type known at run time
    return items


def wanted(item_type: type) -> Any:
    """Return what to decode a type as; plain data needs no check."""
    return Any if item_type in _AS_THEY_ARE else item_type


def check_form(item_type: type, data: bytes, *, sink: str) -> None:
    """Refuse a type that cannot be made again from its packed form.

    Raises:
        InvalidItemError: it is not plain data, a dataclass, a named tuple, a Struct or the like.
    """
    try:
        decode_msgpack(data, wanted(item_type))
    except (DecodeError, TypeError, NameError) as error:
        raise InvalidItemError(
            sink=sink,
            reason=f"a {item_type.__qualname__} cannot be stored and read again: {error}",
            hint="emit dicts, dataclasses of the module's top level, named tuples or msgspec Structs",
        ) from error


def weigh(item: object) -> int:
    """Return about how many bytes an item takes in memory."""
    try:
        return len(encode_msgpack(item))
    except EncodeError:
        return _OPAQUE_BYTES + sum(map(sys.getsizeof, getattr(item, "__dict__", {}).values()))


def _array(items: Sequence[bytes]) -> bytes:
    return b"".join((_ARRAY, len(items).to_bytes(4, "big"), *items))
