"""`mainspring services` shows the health of a running program, and its exit code says whether all is well."""

import asyncio
import json
from pathlib import Path

import pytest

from mainspring.runtime import HealthSocket, Service, entrypoint

pytest.importorskip("typer")

from mainspring.cli import run_command_line

pytestmark = pytest.mark.extras


class Worker(Service):
    """Well or not."""

    well: bool

    async def start(self) -> None: ...

    def healthy(self) -> bool:
        return self.well


@pytest.mark.parametrize("well", [True, False])
async def test_services_are_listed_and_judged(well: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "health")

    def ask(*options: str) -> int:
        return run_command_line(["services", path, *options])

    async with entrypoint(Worker(well=well), HealthSocket(path=path), log_config=False, catch_signals=()):
        assert int(not well) == await asyncio.to_thread(ask)
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert ["service", "state", "ready", "healthy", "restarts", "error"] == lines[0]
        assert ["Worker", "running", "yes", "yes" if well else "no", "0"] == lines[1]
        assert int(not well) == await asyncio.to_thread(ask, "--json")
        report = json.loads(capsys.readouterr().out)
        assert (True, well, "Worker") == (report["ready"], report["healthy"], report["services"][0]["name"])


def test_a_program_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run_command_line(["services", str(tmp_path / "none")])
    assert "error: no program answers at" in capsys.readouterr().err
