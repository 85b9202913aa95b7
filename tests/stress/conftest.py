import logging
from collections.abc import Generator

import pytest


@pytest.fixture
def quiet() -> Generator[None]:
    """Trouble is what a simulation is about: nobody wants it in the log."""
    log = logging.getLogger("mainspring")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(before)
