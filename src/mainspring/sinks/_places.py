"""Where sinks write: two that write to one place must not replace each other's rows within one run."""

from collections.abc import Hashable
from typing import Protocol, TypeGuard

from mainspring.sinks._transaction import SinkRun


class PlacedSink(Protocol):
    """A sink that knows its place. If it replaces, then only what the same job wrote there for the same interval."""

    @property
    def replaces(self) -> bool:
        """Whether a run replaces what an earlier one wrote for its interval."""
        ...

    def place(self, run: SinkRun | None) -> Hashable:
        """Return what two sinks have in common that write to one place; without a run, as far as it is known."""
        ...


def is_placed(sink: object) -> TypeGuard[PlacedSink]:
    """Tell whether a sink knows its place; each run asks, and isinstance() would take 16 us."""
    return hasattr(sink, "place") and hasattr(sink, "replaces")


class Places:
    """The places of the sinks of a set, or of those that one run writes to."""

    __slots__ = ("_first",)

    def __init__(self) -> None:
        self._first: dict[Hashable, PlacedSink] = {}

    def rival_of(self, sink: object, run: SinkRun | None) -> PlacedSink | None:
        """Take the place of a sink; return the one that has it already, if one of the two replaces."""
        if not is_placed(sink):
            return None
        first = self._first.setdefault(sink.place(run), sink)
        return first if first is not sink and (first.replaces or sink.replaces) else None
