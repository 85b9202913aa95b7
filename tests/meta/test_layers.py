"""The import law: an import goes to a strictly lower floor, through a door, or stays in its own room.

Inside jobs the same law holds for model < stores < engine < the files beside them. Runnable modules outside the
rooms are on floor 9: no room may import them, and each may start one room of that floor.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.meta.support_tree import FLOORS, Import, Module, plant, read_door, read_imports, read_modules

INNER_FLOORS = {"model": 1, "stores": 2, "engine": 3}
# Kernels that are fuzzed and property-tested without a loop.
PURE_FILES = {
    "_frames", "_s4lru", "_wheel", "_intervals", "_states", "_backoff", "_sigv4", "_numeric", "_handshake", "_batch",
}  # fmt: skip


def floor_of(name: str) -> float | None:
    """Return the floor of a module of mainspring; None when its room is on no floor."""
    parts = name.split(".")
    if len(parts) == 1:
        return 10
    return FLOORS.get(parts[1])


def layer_complaints(modules: Sequence[Module]) -> list[str]:
    """Return each import that breaks the law."""
    doors = {module.name: read_door(module).names for module in modules if module.is_package}
    known = {module.name for module in modules}
    complaints = [
        f"{module.path}: the room {module.room!r} is on no floor"
        for module in modules
        if module.is_package and floor_of(module.name) is None
    ]
    for module in modules:
        used = [one for one in read_imports(module) if one.target.split(".")[0] == "mainspring"]
        if module.is_package:
            used += [Import(target, name, 1) for name, target in read_door(module).public]
        for one in used:
            said = _judge(module, one, doors, known)
            if said:
                complaints.append(f"{module.path}:{one.line}: {said}")
    return list(dict.fromkeys(complaints))


def _judge(module: Module, one: Import, doors: dict[str, frozenset[str]], known: set[str]) -> str | None:
    target = one.target
    if one.name is not None and f"{target}.{one.name}" in known and one.name not in doors.get(target, ()):
        target = f"{target}.{one.name}"
    parts = target.split(".")
    if len(parts) == 1:
        return "nobody imports the package mainspring itself: import from the door of a room"
    if parts[1] == module.room:
        return _judge_inside(module, target)
    own = floor_of(module.name)
    own = 9.5 if own is None else own  # a runnable module may start a room of floor 9
    there = floor_of(target)
    if there is None or there >= own:
        return f"{module.room or 'mainspring'} (floor {own:g}) may not import {target} (floor {there})"
    if len(parts) > 2:
        return f"{target} is inside another room: import from its door mainspring.{parts[1]}"
    if one.name is not None and one.name not in doors.get(target, ()):
        return f"the door {target} does not list {one.name}"
    return None


def _judge_inside(module: Module, target: str) -> str | None:
    if module.room != "jobs":
        return None
    here, there = (name.split(".")[2] if name.count(".") > 1 else "" for name in (module.name, target))
    own, other = INNER_FLOORS.get(here, 4), INNER_FLOORS.get(there, 4)
    if other > own or (other == own and other != 4 and here != there):
        return f"inside jobs, {here or 'a file'} may not import {target}: model < stores < engine < the files beside"
    return None


def pure_complaints(modules: Sequence[Module]) -> list[str]:
    """Return each import of asyncio in a pure kernel."""
    return [
        f"{module.path}:{one.line}: {module.name} is a pure kernel and imports asyncio"
        for module in modules
        if module.name.rsplit(".", 1)[-1] in PURE_FILES or module.name.startswith("mainspring.jobs.model")
        for one in read_imports(module)
        if one.target.split(".")[0] == "asyncio"
    ]


def test_every_import_obeys_the_law() -> None:
    assert [] == layer_complaints(read_modules())


def test_pure_kernels_import_no_asyncio() -> None:
    assert [] == pure_complaints(read_modules())


def test_the_law_can_fail(tmp_path: Path) -> None:
    files = {
        "base/__init__.py": "from mainspring.base._clock import now as now\n",
        "base/_clock.py": "from mainspring.runtime import run\ndef now():\n    from mainspring.cli import main\n",
        "jobs/__init__.py": "from mainspring import JobApp\nfrom mainspring.base import later, now\n",
        "jobs/model/_states.py": "from mainspring.jobs.engine._app import App\n",
        "sinks/__init__.py": "import mainspring.storage\nfrom mainspring.base._clock import now\n",
        "sinks/_late.py": "if TYPE_CHECKING:\n    from mainspring.jobs import JobApp\n",
        "runtime/__init__.py": "from mainspring.sinks import table\nfrom mainspring.sinks._x import y\n",
        "attic/__init__.py": "",
        "plugins.py": "from mainspring.base import now\n",
    }
    modules = plant(tmp_path, files)
    said = "\n".join(layer_complaints(modules))
    for part in (
        "_clock.py:1: base (floor 1) may not import mainspring.runtime (floor 5)",
        "_clock.py:3: base (floor 1) may not import mainspring.cli (floor 9)",
        "_late.py:2: sinks (floor 5) may not import mainspring.jobs (floor 6)",
        "nobody imports the package mainspring itself",
        "the door mainspring.base does not list later",
        "inside jobs, model may not import mainspring.jobs.engine._app",
        "mainspring.base._clock is inside another room",
        "runtime (floor 5) may not import mainspring.sinks (floor 5)",
        "the room 'attic' is on no floor",
    ):
        assert part in said
    assert "plugins.py" not in said


def test_the_rule_of_pure_kernels_can_fail(tmp_path: Path) -> None:
    files = {"base/_frames.py": "def wait():\n    import asyncio\n", "base/_x.py": "import asyncio\n"}
    modules = plant(tmp_path, files)
    assert 1 == len(pure_complaints(modules))
