"""The examples in the docstrings run and print what they say."""

import os
import subprocess
import sys
from pathlib import Path

from tests.meta.support_tree import SRC, read_modules

# In a child, since programs in the examples start loops and services of their own.
PROGRAM = """
import doctest, importlib, sys
failed = [name for name in sys.argv[1:] if doctest.testmod(importlib.import_module(name)).failed]
sys.exit(1 if failed else 0)
"""


def run_examples(source: Path, folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run the examples of some modules in an empty folder."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-c", PROGRAM, *names]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False)


def test_the_examples_of_all_modules_run(tmp_path: Path) -> None:
    names = [module.name for module in read_modules() if ">>> " in module.text]
    done = run_examples(SRC, tmp_path, *names)
    assert names
    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_wrong_example_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text('"""Add.\n\n>>> 1 + 1\n3\n"""\n')
    assert 1 == run_examples(tmp_path, tmp_path, "wrong").returncode
