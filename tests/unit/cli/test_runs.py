"""The commands that change single runs."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from tests.unit.cli.support_commands import Command

from mainspring.jobs import JobApp

pytestmark = pytest.mark.extras

APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process", poll_interval=0.05)
broken = Path(__file__).with_name("broken")

@app.job("once")
async def once(config):
    if broken.exists():
        raise ValueError("no luck")
    return config.get("n")

@app.job("flaky", retry=1)
async def flaky(ctx):
    if ctx.attempt == 1:
        raise ValueError("not yet")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("runs_shop", None)
    path = tmp_path / "runs_shop.py"
    path.write_text(APP)
    return path


def test_a_failed_run_is_done_again(app: Path, command: Command) -> None:
    app.with_name("broken").touch()
    assert 1 == command("trigger", str(app), "once", "--config", "n=5", "--wait")
    (failed,) = command.json("runs", str(app), "--state", "failed")
    assert 1 == command("retry", str(app), failed["run"][:20], "--wait")
    assert ["generation", "2"] in [line.split() for line in command.out.splitlines()]
    app.with_name("broken").unlink()
    again = command.json("retry", str(app), failed["run"], "--wait", "--latest-config")
    assert ("succeeded", 3) == (again["state"], again["generation"])
    shown = command.json("show", str(app), again["run"])
    assert (3, again["previous_run"]) == (shown["generation"], shown["previous_run"])


def test_show_prints_what_befell_a_run(app: Path, command: Command) -> None:
    assert 0 == command("trigger", str(app), "flaky", "--wait")
    (ended,) = command.json("runs", str(app))
    (event,) = command.json("show", str(app), ended["run"])["events"]
    assert ("retried", 1, "ValueError: not yet") == (event["event"], event["attempt"], event["error"])
    assert 0 == command("show", str(app), ended["run"])
    assert "  retried  attempt=1 error=ValueError: not yet again_at=" in command.out


def test_without_wait_a_retry_is_left_to_a_running_app(app: Path, command: Command) -> None:
    assert 0 == command("trigger", str(app), "once", "--wait")
    (ended,) = command.json("runs", str(app))
    again = command.json("retry", str(app), ended["run"])
    assert ("available", ended["run"]) == (again["state"], again["previous_run"])
    cancelled = command.json("cancel", str(app), again["run"])
    assert ("cancelled", "cancelled on request") == (cancelled["state"], cancelled["note"])


@pytest.mark.parametrize(
    ("verb", "run", "said"),
    [
        ("cancel", "nobody", "expected the id of a run"),
        ("retry", "nobody", "expected the id of a run"),
        ("cancel", "ENDED", "a run that has not ended; this one is succeeded"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(app: Path, command: Command, verb: str, run: str, said: str) -> None:
    assert 0 == command("trigger", str(app), "once", "--wait")
    (ended,) = command.json("runs", str(app))
    assert 2 == command(verb, str(app), ended["run"] if run == "ENDED" else run)
    assert command.err.startswith("error: ")
    assert said in command.err


async def test_a_run_that_no_living_node_takes_says_so(app: Path) -> None:
    """In a program: a command is only a guest, beside which everything may wait."""
    node = JobApp("shop", store=app.with_name("state.db"), durability="process")
    owner = JobApp("shop", store=app.with_name("state.db"), durability="process")
    owner.job("gone")(lambda: None)
    node.job("kept")(lambda: None)
    await owner.open(runner=False)
    await owner.run_job("gone", wait=False)
    await owner.close()
    await node.open()
    command = [sys.executable, "-m", "mainspring", "runs", str(app), "--json"]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await child.communicate()
    await node.close()
    assert ["no node that runs knows the job and takes from its queue"] == [row["why"] for row in json.loads(out)]
