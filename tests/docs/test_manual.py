"""The manual names commands that exist, and the reference every public name."""

import os
import subprocess
import sys

import pytest
import scripts.reference
from tests.meta.support_tree import SRC
from tests.meta.test_docs import SNIPPETS, named_commands


@pytest.mark.extras
@pytest.mark.parametrize("command", sorted(named_commands(SNIPPETS)))
def test_each_command_of_a_shell_snippet_exists(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mainspring", command, "--help"],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert 0 == done.returncode, done.stderr


@pytest.mark.extras
def test_every_public_name_is_in_the_reference() -> None:
    assert [] == scripts.reference.complaints(), "run python scripts/reference.py"


def test_a_stale_page_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def another(name: str) -> str:
        return f"<!-- -->\n\n# {name}\n\nAnother text.\n"

    monkeypatch.setattr(scripts.reference, "page", another)
    assert "docs/reference/base.md" in scripts.reference.complaints()
