"""Lazy doors: a room's `__init__` names what it offers and imports a file at the first use of a name."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def door(
    room: str,
    public: Mapping[str, Sequence[str]],
    *,
    house: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return `(__getattr__, __dir__, __all__)` for a room's `__init__` (PEP 562).

    Args:
        room: the package's `__name__`.
        public: file (module name relative to the room, as `_clock`, or absolute) to the names users get.
        house: the same for names that only other rooms of the house import; listed in the room's `__house__`,
            absent from `__all__`.
    """
    where = {name: file for table in (public, house or {}) for file, names in table.items() for name in names}
    exported = sorted(name for names in public.values() for name in names)
    house_names = tuple(sorted(name for names in (house or {}).values() for name in names))

    def __getattr__(name: str) -> object:  # noqa: N807
        if name == "__house__":
            return house_names
        file = where.get(name)
        if file is None:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        module = import_module(file if "." in file else f"{room}.{file}")
        value: object = getattr(module, name)
        setattr(sys.modules[room], name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*exported, *vars(sys.modules[room])})

    return __getattr__, __dir__, exported
