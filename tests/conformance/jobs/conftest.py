from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import StoreFactory, memory_factory, sqlite_factory

FACTORIES: Mapping[str, Callable[[Path], StoreFactory]] = {
    "memory": lambda _: memory_factory(),
    "sqlite": sqlite_factory,
    "sqlite-inline": partial(sqlite_factory, inline=True),
}
"""By the name of a store, what makes its factory in an empty folder; another store runs the suite by its line here."""


@pytest.fixture(params=FACTORIES)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    """Every store that keeps the promises of `mainspring.jobs.stores`."""
    return FACTORIES[request.param](tmp_path)
