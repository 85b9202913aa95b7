"""Doors: a room's `__init__` says what the room is, and both checkers and the first use find the same names."""

import ast
import importlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.meta.support_tree import SRC, Module, plant, read_door, read_modules
from tests.meta.test_import import importable

# Rooms whose door is plain: the errors are needed by everything and cost nothing.
PLAIN_DOORS = {"mainspring.errors"}
# Rooms whose names may repeat those of others: the seeds had them so.
OLD_SPELLINGS = {"compat"}


def door_complaints(modules: Sequence[Module]) -> list[str]:
    """Return what is wrong with the doors of a tree."""
    complaints: list[str] = []
    origin: dict[str, set[str]] = {}
    for module in modules:
        if not module.is_package:
            continue
        door = read_door(module)
        if not (ast.get_docstring(module.tree) or "").strip():
            complaints.append(f"{module.path}: a door needs a docstring that says what the room is")
        listed = (*door.public, *door.house)
        complaints += [
            f"{module.path}: {name} is listed {count} times"
            for name, count in Counter(name for name, _ in listed).items()
            if count > 1
        ]
        complaints += [f"{module.path}: {name} is private" for name, _ in listed if _is_private(name)]
        if door.lazy:
            complaints += _differences(module, set(door.seen), set(listed))
        elif listed and module.name not in PLAIN_DOORS:
            complaints.append(f"{module.path}: the names must be imported lazily, through door()")
        for name, source in door.public:
            if module.room not in OLD_SPELLINGS:
                origin.setdefault(name, set()).add(source.split(".")[1])
        complaints += _strange_statements(module)
    complaints += [
        f"{name} means different things in {' and '.join(sorted(rooms))}"
        for name, rooms in sorted(origin.items())
        if len(rooms) > 1
    ]
    return complaints


def _is_private(name: str) -> bool:
    return name.startswith("_") and name != "__version__"


def _differences(module: Module, seen: set[tuple[str, str]], listed: set[tuple[str, str]]) -> list[str]:
    return [
        *(f"{module.path}: the checkers see {name} of {file}, a first use does not" for name, file in seen - listed),
        *(f"{module.path}: a first use finds {name} of {file}, the checkers do not" for name, file in listed - seen),
    ]


def _strange_statements(module: Module) -> list[str]:
    allowed = (ast.Import, ast.ImportFrom, ast.If, ast.Expr)
    return [
        f"{module.path}:{node.lineno}: a door holds nothing but its docstring, imports and its list"
        for node in module.tree.body
        if not isinstance(node, allowed) and not _names_all(node)
    ]


def _names_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


DOORS = {module.name: module for module in read_modules() if module.is_package}
HERE = set(importable())


def test_doors_are_in_order() -> None:
    assert [] == door_complaints(read_modules())


@pytest.mark.parametrize("name", DOORS)
def test_every_listed_name_is_found(name: str) -> None:
    if name not in HERE:
        pytest.skip("the extra of this room is not installed")
    door = read_door(DOORS[name])
    room = importlib.import_module(name)
    public = {public for public, _ in door.public}
    assert public == set(getattr(room, "__all__", public))
    assert public <= set(dir(room))
    for listed in door.names:
        assert getattr(room, listed) is not None
    if door.house:
        assert {house for house, _ in door.house} == set(room.__house__)


@pytest.mark.parametrize("name", DOORS)
def test_a_misspelt_name_is_an_attribute_error(name: str) -> None:
    room = importlib.import_module(name)
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(room, "no_such_name")  # noqa: B009


def test_the_tree_is_the_imported_one() -> None:
    assert SRC == Path(str(importlib.import_module("mainspring").__file__)).resolve().parent.parent


def test_the_rules_of_doors_can_fail(tmp_path: Path) -> None:
    lazy = '"""Room."""\nif TYPE_CHECKING:\n    {}\nelse:\n    __getattr__, __dir__, __all__ = door(__name__, {})\n'
    files = {
        "base/__init__.py": "from mainspring.base._a import b as b\nlimit = 3\n",
        "web/__init__.py": lazy.format("from mainspring.web._a import a as a", '{"_b": ("b", "b", "_c")}'),
    }
    said = "\n".join(door_complaints(plant(tmp_path, files)))
    for part in (
        "a door needs a docstring",
        "must be imported lazily",
        "a door holds nothing but",
        "the checkers see a of mainspring.web._a",
        "a first use finds b of mainspring.web._b",
        "b is listed 2 times",
        "_c is private",
        "b means different things in base and web",
    ):
        assert part in said
