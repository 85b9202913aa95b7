"""Rooms above resilience use its time limits, and none of their own."""

import ast
from collections.abc import Sequence
from pathlib import Path

from tests.meta.support_tree import FLOORS, SRC, Module, plant, read_modules

ITS_OWN = {"asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for"}

# What measures others cannot rest on what it measures.
EXEMPT_ROOMS = {"testing"}
# A limit of 0 lets stop() run up to its first wait, where resilience's would not call it at all.
EXEMPT_MODULES = {"mainspring.runtime._services"}


def own_limits(modules: Sequence[Module]) -> list[str]:
    """Return the lines above resilience that limit time by the standard library."""
    return [
        f"{module.path}:{node.lineno}: {ast.unparse(node.func)}, where mainspring.resilience.timeout belongs"
        for module in modules
        if FLOORS.get(module.room, 9) > FLOORS["resilience"]
        and module.room not in EXEMPT_ROOMS
        and module.name not in EXEMPT_MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ITS_OWN
    ]


def test_time_is_limited_by_resilience() -> None:
    assert [] == own_limits(read_modules(SRC))


def test_the_rule_can_fail(tmp_path: Path) -> None:
    limit = "async def f():\n    async with asyncio.timeout(1):\n        await asyncio.wait_for(g(), 1)\n"
    files = {"jobs/_a.py": limit, "concurrency/_b.py": limit, "testing/_c.py": limit, "runtime/_services.py": limit}
    said = own_limits(plant(tmp_path, files))
    assert ["_a.py:2: asyncio.timeout", "_a.py:3: asyncio.wait_for"] == [
        line.rsplit("/", 1)[1].split(",")[0] for line in said
    ]
