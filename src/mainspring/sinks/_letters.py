"""Letters: items of one run, one type and one sink, as the spool keeps them. Types go by registered names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final  # Any: items have any type

from mainspring.base import decode_msgpack, encode_msgpack
from mainspring.errors import EncodeError, InvalidArgumentError, InvalidItemError
from mainspring.sinks._packing import check_form

_PLAIN: Final = {one.__name__: one for one in (dict, list, str, bytes, int, float, bool)}


class TypeNames:
    """The types whose items may be kept, by name; plain data needs no name."""

    def __init__(self) -> None:
        self._types: dict[str, type] = dict(_PLAIN)
        self._names: dict[type, str] = {one: name for name, one in _PLAIN.items()}
        self._readable: dict[str, type] = {}

    def add(self, item_type: type, name: str | None = None) -> None:
        """Register a type under a name, by default its qualified name without module.

        Raises:
            InvalidArgumentError: another type has the name.
        """
        name = name or item_type.__qualname__
        if self._types.setdefault(name, item_type) is not item_type:
            raise InvalidArgumentError(argument="types", value=name, expected="a type whose name no other type has")
        self._names[item_type] = name

    def know(self, item_type: type) -> None:
        """Have items of a type read that were kept under its qualified name earlier; none are kept any more."""
        self._readable.setdefault(item_type.__qualname__, item_type)

    def name_of(self, item_type: type, *, sink: str) -> str:
        """Return the name of a type.

        Raises:
            InvalidItemError: it is not registered.
        """
        name = self._names.get(item_type)
        if name is None:
            raise InvalidItemError(
                sink=sink,
                reason=f"the type {item_type.__qualname__} is not registered and cannot be spooled",
                hint=f"register it: app.sink({item_type.__name__}, ...) or add(..., types=[{item_type.__name__}])",
            )
        return name

    def type_of(self, name: str) -> Any:
        """Return the type of a name, Any for plain data.

        Raises:
            LookupError: no type has that name any more.
        """
        return Any if name in _PLAIN else self._types.get(name) or self._readable[name]


@dataclass(frozen=True, slots=True)
class Letter:
    """Some items on disk."""

    sink: str
    item_type: str
    job_id: str | None
    run_id: str | None
    spooled_at: datetime
    items: list[tuple[str | None, bytes]]

    def encoded(self) -> bytes:
        """Return the letter as bytes."""
        return encode_msgpack(self)

    def alone(self) -> "list[Letter]":
        """Return one letter for each item."""
        return [
            Letter(self.sink, self.item_type, self.job_id, self.run_id, self.spooled_at, [item]) for item in self.items
        ]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Items that a sink refused so often that they are not tried any more.

    Attributes:
        letter_id: names it for `replay` and `drop`.
        sink: the name of the sink.
        item_type: the registered name of the items' type.
        tries: attempts that were made from the disk.
        reason: what the last one raised.
        items: the items as plain data.
        folder: the name of the folder in which it lies, one for each process.
    """

    letter_id: int
    sink: str
    item_type: str
    job_id: str | None
    run_id: str | None
    spooled_at: datetime
    tries: int
    reason: str
    items: Sequence[Any]
    folder: str = ""

    @property
    def label(self) -> str:
        """A short name of it among the spools of all processes: the end of the folder's name, and its number there."""
        return f"{self.folder[-8:]}:{self.letter_id}"

    @classmethod
    def of(cls, number: int, letter: "Letter", *, tries: int, reason: str, folder: str) -> "DeadLetter":
        """Make it of a letter."""
        return cls(
            number,
            letter.sink,
            letter.item_type,
            letter.job_id,
            letter.run_id,
            letter.spooled_at,
            tries,
            reason,
            [decode_msgpack(data) for _, data in letter.items],
            folder,
        )


def decode_letter(data: bytes) -> Letter:
    """Return a letter.

    Raises:
        DecodeError: these are not the bytes of one.
    """
    return decode_msgpack(data, Letter)


def encode_item(item: object, *, sink: str, known: set[type]) -> bytes:
    """Return an item as bytes; `known` gathers the types that were found to come back as themselves.

    Raises:
        InvalidItemError: it has no form, or its type cannot be made again.
    """
    try:
        data = encode_msgpack(item)
    except EncodeError as error:
        raise InvalidItemError(sink=sink, reason=str(error)) from error
    if type(item) not in known:
        check_form(type(item), data, sink=sink)
        known.add(type(item))
    return data
