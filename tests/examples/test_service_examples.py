"""Each example of a service runs to its end and prints something."""

import re
from pathlib import Path

import pytest
from tests.examples.test_examples import run_example
from tests.meta.support_tree import ROOT

from mainspring import services
from mainspring.runtime import ServiceMeta

EXAMPLES = sorted((ROOT / "examples" / "services").glob("*.py"))


def test_each_class_of_a_service_is_in_an_example() -> None:
    text = "\n".join(path.read_text() for path in EXAMPLES)
    names: list[str] = vars(services)["__all__"]
    kinds = [one for name in names if isinstance(one := getattr(services, name), ServiceMeta)]
    assert len(kinds) > 25
    assert [] == [one.__name__ for one in kinds if not re.search(rf"\b{one.__name__}\b", text)]


def _marked(path: Path) -> object:
    """An example whose docstring names an extra needs it."""
    return pytest.param(path, id=path.stem, marks=[pytest.mark.extras] if "mainspring[" in path.read_text() else [])


@pytest.mark.parametrize("example", [_marked(path) for path in EXAMPLES])
def test_each_example_of_a_service_runs(example: Path, tmp_path: Path) -> None:
    assert run_example(example, tmp_path)
