"""The repository itself: constraints, change notes, tool configuration."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from tests.meta.support_tree import ROOT

KINDS = ("added", "changed", "fixed", "removed", "deprecated", "security")
TOOL_FILES = ("setup.py", "setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", ".coveragerc", "ruff.toml", "conftest.ini")


def constraint_complaints(text: str) -> list[str]:
    """Return lines that are no plain pin or that name an address."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    complaints = [f"no address belongs here: {line}" for line in text.splitlines() if "://" in line]
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+( ; .+)?")
    return complaints + [f"no pin: {line}" for line in lines if "://" not in line and not pin.fullmatch(line)]


def fragment_complaints(paths: Iterable[Path]) -> list[str]:
    """Return change notes whose name or text is out of form: `slug.kind.md`, full sentences."""
    complaints: list[str] = []
    for path in paths:
        if not re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md", path.name):
            complaints.append(f"{path.name}: name it slug.kind.md with a kind of {', '.join(KINDS)}")
        text = path.read_text().strip()
        if not text.endswith(".") or not (text[0].isupper() or text[0] == "`") or text.startswith("#"):
            complaints.append(f"{path.name}: say what changed for the user, in whole sentences")
    return complaints


def test_constraints_are_plain_pins() -> None:
    assert [] == constraint_complaints((ROOT / "constraints.txt").read_text())


def test_every_dependency_of_the_groups_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pinned = {
        re.split(r"==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    named = [one for group in project["dependency-groups"].values() for one in group if isinstance(one, str)]
    wanted = {re.split(r"[\[<>=!~ ]", one)[0].lower() for one in [*named, *project["project"]["dependencies"]]}
    assert set() == wanted - pinned


def test_change_notes_are_in_form() -> None:
    assert [] == fragment_complaints(path for path in (ROOT / "changelog.d").glob("*") if path.name != "README.md")


def test_tools_are_configured_in_one_file() -> None:
    assert [] == [name for name in TOOL_FILES if (ROOT / name).exists()]


def test_no_test_is_run_again_when_it_fails() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert "rerun" not in text
    assert "xfail_strict = true" in text


def test_the_rules_can_fail(tmp_path: Path) -> None:
    assert 3 == len(constraint_complaints("# note\na==1\nb>=2\nc @ file://x\nd\n"))
    good, bad = tmp_path / "demo-once.added.md", tmp_path / "Thing.new.md"
    good.write_text("`mainspring demo` takes `--once`.\n")
    bad.write_text("# things\n")
    assert 2 == len(fragment_complaints([good, bad]))
