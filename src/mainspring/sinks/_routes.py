"""Which item goes to which sink: by name, by the nearest registered base of its type, or to what overrides it."""

from collections.abc import Iterator, Sequence
from typing import Final

from mainspring.errors import InvalidArgumentError, InvalidItemError, UnknownSinkError, UnroutedItemError
from mainspring.sinks._places import PlacedSink, Places, is_placed
from mainspring.sinks._sink import label_of

ONE_FOR_BOTH: Final = "register one sink for both types: @app.sink(A, B)"


class Routes:
    """The registered sinks by name and by type."""

    def __init__(self) -> None:
        self._by_type: dict[type, object] = {}
        self._by_label: dict[str, object] = {}
        self._found: dict[type, object] = {}
        self._names: dict[int, str] = {}
        self._by_name: dict[str, object] = {}
        self._labels: dict[int, str] = {}
        self._overrides: dict[str, object] = {}
        self._places = Places()
        self.any_replaces = False

    def add(self, label: str, sink: object, types: Sequence[type]) -> None:
        """Register a sink.

        Raises:
            InvalidArgumentError: the name or a type is taken, or another one writes to its place.
        """
        if label in self._by_label:
            raise InvalidArgumentError(argument="name", value=label, expected="a name that no other sink has")
        for one in types:
            if one in self._by_type:
                raise InvalidArgumentError(argument="types", value=one, expected="a type that no other sink takes")
        rival = self._places.rival_of(sink, None)
        if rival is not None:
            expected = f"another place than sink {self.label(rival)!r}, since one removes what the other has written"
            raise InvalidArgumentError(argument="sink", value=sink, expected=expected, hint=ONE_FOR_BOTH)
        self.any_replaces = self.any_replaces or (is_placed(sink) and sink.replaces)
        self._labels.setdefault(id(sink), label)
        self._by_label[label] = sink
        self._by_type.update(dict.fromkeys(types, sink))
        self._found.clear()

    def name(self, name: str, sink: object) -> None:
        """Say what records on disk call a sink; the first name counts.

        Raises:
            InvalidArgumentError: another sink has it.
        """
        if self._by_name.setdefault(name, sink) is not sink:
            raise InvalidArgumentError(argument="name", value=name, expected="a name that no other sink has")
        self._names.setdefault(id(sink), name)

    def has(self, name: str) -> bool:
        """Tell whether records on disk call any sink by a name."""
        return name in self._by_name

    def override(self, name: str, replacement: object) -> None:
        """Mean another sink by a name or label."""
        self._overrides[name] = replacement

    def check_overrides(self) -> None:
        """Refuse an override that would never be used.

        Raises:
            UnknownSinkError: no sink has its name.
        """
        sinks = self._by_name.values()
        known = dict.fromkeys(name for one in sinks for name in (self.name_of(one), self.label(one)))
        for name in self._overrides:
            if name not in known:
                raise UnknownSinkError(sink=name, known=tuple(known))

    def named(self, label: str) -> object:
        """Return a sink by the name it was added under.

        Raises:
            UnknownSinkError: there is none.
        """
        found = self._by_label.get(label)
        if found is None:
            raise UnknownSinkError(sink=label, known=tuple(self._by_label))
        return self.actual(found)

    def replacing(self) -> Iterator[PlacedSink]:
        """Iterate over the registered sinks that replace what a run's job wrote for its interval, and nothing else."""
        for sink in self._by_label.values() if self.any_replaces else ():
            actual = self.actual(sink)
            if is_placed(actual) and actual.replaces:
                yield actual

    def of_type(self, item_type: type) -> object:
        """Return the sink of the nearest registered base of a type.

        Raises:
            UnroutedItemError: no sink takes it.
        """
        found = self._found.get(item_type)
        if found is None:
            found = next((self._by_type[base] for base in item_type.__mro__ if base in self._by_type), None)
            if found is None:
                known = tuple(one.__qualname__ for one in self._by_type)
                raise UnroutedItemError(item_type=item_type.__qualname__, registered=known)
            self._found[item_type] = found
        return self.actual(found)

    def actual(self, sink: object) -> object:
        """Return a sink, or what overrides it."""
        if not self._overrides:
            return sink
        names = (self.name_of(sink), self.label(sink))
        return next((self._overrides[name] for name in names if name in self._overrides), sink)

    def label(self, sink: object) -> str:
        """Return how a sink is called in counts and intents: the name it was added under, or its own."""
        return self._labels.get(id(sink)) or label_of(sink)

    def staged_as(self, sink: object) -> str:
        """Return a name that no other sink of a run has.

        Raises:
            InvalidItemError: it is registered under none, and a registered one has its label.
        """
        stands_for = (name for name, replacement in self._overrides.items() if replacement is sink)
        name = self._names.get(id(sink)) or next(stands_for, None)
        if name is not None:
            return name
        label = label_of(sink)
        if label in self._by_name:
            hint = "give one of the two a name= of its own"
            raise InvalidItemError(sink=label, reason="a registered sink has its name", hint=hint)
        return label

    def name_of(self, sink: object) -> str:
        """Return what records on disk call a sink."""
        return self._names.get(id(sink)) or label_of(sink)
