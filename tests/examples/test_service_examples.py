"""Each example of a service runs to its end and prints something."""

from pathlib import Path

import pytest
from tests.examples.test_examples import run_example
from tests.meta.support_tree import ROOT

EXAMPLES = sorted((ROOT / "examples" / "services").glob("*.py"))


def _marked(path: Path) -> object:
    """An example whose docstring names an extra needs it."""
    return pytest.param(path, id=path.stem, marks=[pytest.mark.extras] if "mainspring[" in path.read_text() else [])


@pytest.mark.parametrize("example", [_marked(path) for path in EXAMPLES])
def test_each_example_of_a_service_runs(example: Path, tmp_path: Path) -> None:
    assert run_example(example, tmp_path)
