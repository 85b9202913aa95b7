"""What every program of the seeds runs under."""

import pytest


@pytest.fixture(autouse=True)
def asyncio_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loop of libuv leaves a pipe open in the process."""
    monkeypatch.setenv("AIOMISC_USE_UVLOOP", "0")


@pytest.fixture
def no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs leave logging as it is."""
    monkeypatch.setenv("AIOMISC_LOG_CONFIG", "0")
