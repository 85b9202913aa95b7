"""What finds modules here goes to children while it does so."""

import sys
from importlib.machinery import ModuleSpec

import pytest

from mainspring.base import ChildFinder, child_finders


class Nowhere(ChildFinder):
    """Finds nothing."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return None


def test_finders_go_to_children_while_they_are_asked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    before = child_finders()
    first, second = Nowhere(), Nowhere()
    monkeypatch.setattr(sys, "meta_path", [first, *sys.meta_path, second])
    assert [first, *before, second] == child_finders()
    monkeypatch.undo()
    assert before == child_finders()
