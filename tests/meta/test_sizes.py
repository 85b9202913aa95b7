"""No file longer than 600 lines, no function longer than 60 (its docstring not counted)."""

import ast
from collections.abc import Iterable
from pathlib import Path

from tests.meta.support_tree import ROOT

FILE_LINES = 600
FUNCTION_LINES = 60
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def size_complaints(paths: Iterable[Path]) -> list[str]:
    """Return each file and function that is too long."""
    complaints: list[str] = []
    for path in paths:
        text = path.read_text()
        count = text.count("\n")
        if count > FILE_LINES:
            complaints.append(f"{path}: {count} lines, {FILE_LINES} are allowed")
        functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTION))
        complaints += [
            f"{path}:{node.lineno}: {node.name} has {_length(node)} lines"
            for node in functions
            if _length(node) > FUNCTION_LINES
        ]
    return complaints


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = ast.get_docstring(node) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_files_and_functions_are_short() -> None:
    folders = ("src", "tests", "benchmarks", "examples", "scripts")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "seeds" not in path.parts]
    assert [] == size_complaints(sorted(paths))


def test_the_rule_of_sizes_can_fail(tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    long.write_text("def f():\n" + "    x = 1\n" * 60 + "\n" * 600)
    good = tmp_path / "good.py"
    good.write_text('def f():\n    """Do.\n' + "\n" * 60 + '    """\n' + "    x = 1\n" * 50)
    said = size_complaints([long, good])
    assert 2 == len(said)
    assert "661 lines" in said[0]
    assert "f has 61 lines" in said[1]
