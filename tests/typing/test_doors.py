"""Every name of every door is seen by both type checkers, and a misspelt one by neither."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.meta.support_tree import ROOT, SRC, read_door, read_modules

pytestmark = [pytest.mark.extras, pytest.mark.timeout(300)]

DOORS = [read_door(module) for module in read_modules() if module.is_package]
CONFIG = ROOT / "pyproject.toml"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that imports every listed name, and one misspelt name from each door."""
    lines: list[str] = []
    for number, door in enumerate(DOORS):
        lines += [
            f"from {door.module.name} import {name} as used_{number}_{name}" for name, _ in (*door.public, *door.house)
        ]
        lines.append(f"from {door.module.name} import no_such_name as wrong_{number}")
    path = tmp_path_factory.mktemp("typing") / "program.py"
    path.write_text("\n".join([*lines, ""]))
    return path


def _complaints(command: list[str]) -> set[int]:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return {int(line) for line in re.findall(r"program\.py:(\d+):", done.stdout)}


def _misspelt(program: Path) -> set[int]:
    return {number for number, line in enumerate(program.read_text().splitlines(), 1) if "no_such_name" in line}


def test_mypy_sees_every_name_and_no_other(program: Path) -> None:
    assert _misspelt(program) == _complaints(["mypy", "--config-file", str(CONFIG), str(program)])


def test_pyright_sees_every_name_and_no_other(program: Path) -> None:
    settings = program.with_name("pyrightconfig.json")
    settings.write_text(
        f'{{"include": ["{program.name}"], "extraPaths": ["{SRC}"], "reportPrivateUsage": false, '
        '"reportUnusedImport": false, "typeCheckingMode": "standard"}'
    )
    assert _misspelt(program) == _complaints(["pyright", "--pythonpath", sys.executable, "--project", str(settings)])
