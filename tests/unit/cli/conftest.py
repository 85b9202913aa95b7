"""What the tests of the commands share."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.support_commands import Command


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> "Command":
    """What runs commands and keeps what they wrote."""
    from tests.unit.cli.support_commands import Command  # typer is not there without extras

    return Command(capsys)
