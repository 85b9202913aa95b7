"""The service that a program gives its operators."""

import sys
from pathlib import Path

import pytest

from mainspring.cli import operator_console
from mainspring.errors import MissingExtraError
from mainspring.jobs import JobApp
from mainspring.tools import Dispatch


@pytest.mark.extras
def test_it_lies_in_the_state_directory_and_keeps_own_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path))
    commands = Dispatch()

    @commands.command()
    def jobs() -> str:
        """Mine."""
        return "mine"

    service = operator_console(JobApp("shop", store="memory"), commands=commands)
    assert (str(tmp_path / "console.sock"), "shop") == (service.path, service.program)
    assert "Mine." in commands.help("jobs")
    assert {"runs", "trigger", "pause"} <= set(commands.commands)
    assert "elsewhere" == operator_console(JobApp("shop", store="memory"), path="elsewhere").path


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(MissingExtraError, match="operator_console"):
        operator_console(JobApp("shop", store="memory"))
