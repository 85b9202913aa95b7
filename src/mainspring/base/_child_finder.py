"""Import finders that go to child processes, so that what can be imported here can be imported there."""

import sys
from importlib.abc import MetaPathFinder


class ChildFinder(MetaPathFinder):
    """A finder which the children of the house get as well, pickled, while it is in `sys.meta_path`."""


def child_finders() -> list[ChildFinder]:
    """Return those of this process, in their order."""
    return [finder for finder in sys.meta_path if isinstance(finder, ChildFinder)]
