"""What every test of the suite leaves as it found it."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what a test did to the root logger and to the names of levels, both global."""
    handlers, level = list(logging.root.handlers), logging.root.level
    names, numbers = dict(logging._levelToName), dict(logging._nameToLevel)
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logging._levelToName.clear()
    logging._levelToName.update(names)
    logging._nameToLevel.clear()
    logging._nameToLevel.update(numbers)
