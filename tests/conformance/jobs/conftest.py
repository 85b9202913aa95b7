from pathlib import Path

import pytest
from tests.conformance.jobs.support_stores import StoreFactory, memory_factory, sqlite_factory


@pytest.fixture(params=["memory", "sqlite", "sqlite-inline"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    """Every store that keeps the promises of `mainspring.jobs.stores`."""
    if request.param == "memory":
        return memory_factory()
    return sqlite_factory(tmp_path, inline=request.param == "sqlite-inline")
