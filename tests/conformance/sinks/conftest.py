"""How the tests get their sinks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conformance.sinks.support_sinks import Case, make


@pytest.fixture(scope="session")
def case_of(request: pytest.FixtureRequest) -> Callable[[str, Path], Case]:
    """Return what makes a case of a kind in a folder; the first one that needs a server starts it."""

    def case(kind: str, folder: Path) -> Case:
        server = request.getfixturevalue("clickhouse_server") if kind.startswith("clickhouse") else None
        return make(kind, folder, server)

    return case
