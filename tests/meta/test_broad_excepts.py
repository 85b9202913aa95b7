"""Only supervisors catch everything: each such line is marked `# supervisor: why`, and counted here.

Catching everything only to clean up and raise again is no swallowing and needs no mark.
"""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.meta.support_tree import SRC, Module, plant, read_modules

# How many each file may have. A new one belongs here only if the file holds a supervising loop.
SUPERVISORS = {
    "mainspring.cli._load": 1,
    "mainspring.concurrency._aggregate": 1,
    "mainspring.concurrency._beat": 1,
    "mainspring.concurrency._own_thread": 1,
    "mainspring.concurrency._recurring": 1,
    "mainspring.concurrency._thread_crew": 1,
    "mainspring.concurrency._thread_iterator": 1,
    "mainspring.concurrency._threaded": 1,
    "mainspring.concurrency._worker_crew": 1,
    "mainspring.concurrency.dask_executor": 1,
    "mainspring.concurrency._worker_main": 5,
    "mainspring.concurrency._worker_task": 1,
    "mainspring.dataflow._handler": 3,
    "mainspring.jobs.stores._sqlite_writes": 1,
    "mainspring.resilience._breaker": 1,
    "mainspring.resilience._global_limiter": 1,
    "mainspring.resilience._listeners": 1,
    "mainspring.resilience._pool": 2,
    "mainspring.resilience._pool_stock": 2,
    "mainspring.resilience._timeout": 1,
    "mainspring.runtime._exit": 1,
    "mainspring.runtime._health": 1,
    "mainspring.runtime._hosted": 2,
    "mainspring.runtime._log_buffer": 5,
    "mainspring.runtime._log_child": 3,
    "mainspring.runtime._log_format": 2,
    "mainspring.runtime._log_system": 1,
    "mainspring.runtime._services": 1,
    "mainspring.runtime._use": 4,
    "mainspring.services._console_service": 1,
    "mainspring.services._tcp_client": 1,
    "mainspring.services._tcp_server": 1,
    "mainspring.services._udp_server": 2,
    "mainspring.services.dns_server": 2,
    "mainspring.services.sentry_service": 1,
    "mainspring.storage._batch_inserter": 1,
    "mainspring.storage._shard_together": 1,
    "mainspring.storage._reply": 1,
    "mainspring.storage._sqlite": 1,
    "mainspring.storage._sqlite_group": 1,
    "mainspring.storage._sqlite_runner": 1,
    "mainspring.storage._sqlite_writer": 1,
    "mainspring.sinks._batcher": 1,
    "mainspring.sinks._deliveries": 1,
    "mainspring.tools._dispatch_args": 1,
    "mainspring.tools._secrets": 1,
    "mainspring.transport._proxy": 2,
    "mainspring.transport._serve": 1,
    "mainspring.jobs.engine._alerts": 1,
    "mainspring.jobs.engine._execution": 5,
    "mainspring.jobs.engine._recording": 1,
    "mainspring.jobs.engine._scheduler": 1,
    "mainspring.jobs.engine._steady": 1,
}

BROAD = {"Exception", "BaseException"}
MARK = re.compile(r"# supervisor: \w+")


def broad_lines(module: Module) -> list[int]:
    """Return the lines of the file that catch everything and go on."""
    lines: list[int] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            last = node.body[-1]
            raises = isinstance(last, ast.Raise) and last.exc is None
            if not raises and (node.type is None or BROAD & _names(node.type)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and "suppress" in _names(node.func):
            lines += [node.lineno for argument in node.args if BROAD & _names(argument)]
    return lines


def _names(node: ast.expr) -> set[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {ast.unparse(part).rsplit(".", 1)[-1] for part in parts}


def broad_complaints(modules: Sequence[Module], allowed: dict[str, int]) -> list[str]:
    """Return unmarked lines, and files with more or fewer than the list says."""
    complaints: list[str] = []
    counts: Counter[str] = Counter()
    for module in modules:
        text = module.text.splitlines()
        for line in broad_lines(module):
            counts[module.name] += 1
            if not MARK.search(text[line - 1]):
                complaints.append(f"{module.path}:{line}: catches everything without `# supervisor: why`")
    return complaints + [
        f"{name}: {counts[name]} broad excepts, the list in {Path(__file__).name} says {allowed.get(name, 0)}"
        for name in sorted({*counts, *allowed})
        if counts[name] != allowed.get(name, 0)
    ]


def test_only_supervisors_catch_everything() -> None:
    assert [] == broad_complaints(read_modules(SRC), SUPERVISORS)


def test_the_rule_can_fail(tmp_path: Path) -> None:
    swallow = "try:\n    f()\nexcept {}:{}\n    {}\n"
    files = {
        "a.py": swallow.format("Exception", "", "pass"),
        "b.py": swallow.format("(OSError, BaseException)", "  # supervisor: loops", "pass"),
        "c.py": swallow.format("BaseException", "", "raise"),
        "d.py": "with contextlib.suppress(Exception):\n    f()\n",
        "e.py": "try:\n    f()\nexcept:\n    pass\n",
    }
    said = "\n".join(broad_complaints(plant(tmp_path, files), {"mainspring.b": 1, "mainspring.x": 1}))
    for part in ("a.py:3", "d.py:1", "e.py:3", "mainspring.a: 1 broad", "mainspring.x: 0 broad"):
        assert part in said
    assert "b.py" not in said
    assert "c.py" not in said
