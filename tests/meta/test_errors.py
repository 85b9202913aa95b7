"""Every class of `mainspring.errors` is one tree, documented, and survives pickle and copy."""

import builtins
import copy
import inspect
import pickle
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.meta.support_tree import SRC

import mainspring.errors
from mainspring.errors import MainspringError

# Control signals and names of the seeds, which do not end in Error.
SEED_NAMES = {
    "ChannelClosed",
    "ChannelTimeout",
    "CircuitBroken",
    "ConnectionClosedOK",
    "StrategyException",
    "StrategySkip",
    "StrategyStop",
    "ThreadPoolException",
}
SAMPLES = {
    "str": "text",
    "int": 3,
    "float": 1.5,
    "bool": True,
    "object": "text",
    "bytes": b"\x00",
    "datetime": datetime(2013, 3, 10, tzinfo=UTC),
    "timedelta": timedelta(seconds=1),
    "BaseException": ValueError("text"),
    "Exception": ValueError("text"),
    "Path": Path("somewhere"),
    "Sequence[str]": ("a", "b"),
    "tuple[str, ...]": ("a", "b"),
    "frozenset[str]": frozenset({"a"}),
    "Mapping[str, object]": {"a": 1},
    "Mapping[str, int]": {"a": 1},
    "Mapping[str, str]": {"a": "b"},
}


def classes() -> list[type[MainspringError]]:
    """Return every error that the door names."""
    found = [getattr(mainspring.errors, name) for name in mainspring.errors.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, MainspringError)]


def make(error: type[MainspringError]) -> MainspringError:
    """Make an instance with a sample for each required fact."""
    if error.__init__ is MainspringError.__init__:
        return error("something happened", hint="do this", fact=3)
    facts: dict[str, object] = {}
    positional: list[object] = []
    for parameter in list(inspect.signature(error).parameters.values()):
        if parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            continue
        wanted = inspect.formatannotation(parameter.annotation).replace("collections.abc.", "")
        wanted = wanted.replace("datetime.", "").replace("pathlib.", "").strip("'\"")
        first = next((SAMPLES[one.strip()] for one in wanted.split(" | ") if one.strip() in SAMPLES), None)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(first)
        else:
            facts[parameter.name] = first
    return error(*positional, **facts)  # type: ignore[arg-type]  # the facts are the subclass's own


def class_complaints(error: type[MainspringError], tree: str) -> list[str]:
    """Return what is wrong with the class itself."""
    name = error.__name__
    standard = [base.__name__ for base in error.__mro__ if base.__module__ == builtins.__name__]
    fitting = [base for base in standard if base not in {"Exception", "BaseException", "object"}]
    complaints: list[str] = []
    if not (error.__dict__.get("__doc__") or "").strip():
        complaints.append(f"{name} has no docstring")
    if not name.endswith("Error") and name not in SEED_NAMES:
        complaints.append(f"{name} does not end in Error")
    if not fitting and not error.__subclasses__() and name not in SEED_NAMES:
        complaints.append(f"{name} inherits no standard class that fits")
    if not re.search(rf"\b{name}\b", tree):
        complaints.append(f"{name} is absent from the tree in the door's docstring")
    if error.__module__ != "mainspring.errors" or getattr(mainspring.errors, name, None) is not error:
        complaints.append(f"{name} shows itself as {error.__module__}.{name}, which is not where users find it")
    return complaints


def undeclared_facts(error: MainspringError) -> list[str]:
    """Return the attributes of an instance that no type checker knows."""
    declared = {name for one in type(error).__mro__ for name in inspect.get_annotations(one)}
    return [f"{type(error).__name__} does not declare {fact}" for fact in vars(error)["_facts"] if fact not in declared]


def _copied(error: object) -> object:
    return copy.copy(error)


def travel_complaints(error: MainspringError) -> list[str]:
    """Return what an instance loses on its way through pickle and copy."""
    complaints: list[str] = []
    error.add_note("a note of the caller")
    ways: Sequence[tuple[str, object]] = [
        *((f"pickle {level}", pickle.loads(pickle.dumps(error, level))) for level in range(2, 6)),
        ("copy", _copied(error)),
        ("deepcopy", copy.deepcopy(error)),
    ]
    for way, other in ways:
        if not isinstance(other, MainspringError) or type(other) is not type(error):
            complaints.append(f"{way} makes a {type(other).__name__}")
            continue
        if str(other) != str(error) or other.hint != error.hint or other.__notes__ != error.__notes__:
            complaints.append(f"{way} changes the sentence or the notes")
        if repr(vars(other)["_facts"]) != repr(vars(error)["_facts"]):
            complaints.append(f"{way} changes the facts")
        complaints += [f"{way} loses {name}" for name in vars(error) if not hasattr(other, name)]
    return complaints


@pytest.mark.parametrize("error", classes())
def test_the_class_is_in_order(error: type[MainspringError]) -> None:
    assert [] == class_complaints(error, mainspring.errors.__doc__ or "")
    if error.__init__ is not MainspringError.__init__:
        assert [] == undeclared_facts(make(error))


@pytest.mark.parametrize("error", classes())
def test_an_instance_travels(error: type[MainspringError]) -> None:
    instance = make(error)
    assert str(instance)
    assert not str(instance).endswith(".")
    assert [] == travel_complaints(instance)


def test_the_door_names_every_class() -> None:
    text = "\n".join(path.read_text() for path in (SRC / "mainspring" / "errors").glob("_*.py"))
    defined = set(re.findall(r"^class (\w+)", text, re.MULTILINE)) - {"MainspringError"}
    assert set() == {name for name in defined if not name.startswith("_")} - set(mainspring.errors.__all__)


def test_errors_are_defined_nowhere_else() -> None:
    """An error class outside errors/ would be outside the tree."""
    rooms = [path for path in (SRC / "mainspring").rglob("*.py") if "errors" not in path.parts]
    pattern = re.compile(r"^class (\w+)\([^)]*(?:Error|Exception)\b[^)]*\)", re.MULTILINE)
    found = [(path.name, name) for path in rooms for name in pattern.findall(path.read_text())]
    assert [] == [one for one in found if not one[1].startswith("_")]


class Careless(MainspringError):
    def __init__(self, *, limit: int) -> None:
        super().__init__("too many", limit=limit)
        self.extra = limit

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        return ValueError, ("lost",)


def test_the_rules_of_errors_can_fail() -> None:
    careless = make(Careless)
    said = "\n".join(
        [*class_complaints(Careless, "the tree"), *undeclared_facts(careless), *travel_complaints(careless)]
    )
    for part in (
        "no docstring",
        "does not end in Error",
        "inherits no standard class",
        "absent from the tree",
        "Careless shows itself as",
        "Careless does not declare limit",
        "pickle 5 makes a ValueError",
        "copy loses extra",
    ):
        assert part in said
