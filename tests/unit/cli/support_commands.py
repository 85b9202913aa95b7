"""Commands on an app in a file: what they write, and the code that they end with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mainspring.cli import run_command_line


class Command:
    """Runs commands and keeps what they wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *argv: str) -> int:
        code = run_command_line(argv)
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *argv: str) -> Any:
        self(*argv, "--json")
        return json.loads(self.out)

    def lines(self, *argv: str) -> Iterator[str]:
        """Run a command that succeeds and return its lines, spaces joined."""
        assert 0 == self(*argv), self.err
        return (" ".join(line.split()) for line in self.out.splitlines())
