"""`mainspring backfills`, and `pause`, `resume` and `cancel` of one that was left to a running app."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from tests.unit.cli.support_commands import Command

pytestmark = pytest.mark.extras

APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process", poll_interval=0.05)

@app.job("hourly", cron="0 * * * *")
async def hourly():
    pass

@app.job("daily", cron="0 0 * * *")
async def daily():
    pass
"""
DAY = ("--from", "2013-03-10", "--to", "2013-03-11", "--detach")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("backfill_shop", None)
    path = tmp_path / "backfill_shop.py"
    path.write_text(APP)
    return str(path)


def test_backfills_are_listed_newest_first(app: str, command: Command) -> None:
    first, second = (command.json("backfill", app, job, *DAY)["backfill"] for job in ("hourly", "daily"))
    assert [second, first] == [row["backfill"] for row in command.json("backfills", app)]
    assert [second] == [row["backfill"] for row in command.json("backfills", app, "--limit", "1")]
    (row,) = command.json("backfills", app, "--job", "hourly")
    assert (first, "running", 24, False) == (row["backfill"], row["state"], row["total"], row["exact"])
    assert "~24" in list(command.lines("backfills", app, "--job", "hourly"))[1].split()
    assert 2 == command("backfills", app, "--job", "nope")


def test_a_backfill_is_paused_resumed_and_cancelled(app: str, command: Command) -> None:
    backfill = command.json("backfill", app, "hourly", *DAY)["backfill"]
    assert "state paused" in list(command.lines("pause", app, backfill))
    assert "paused" == command.json("backfills", app)[0]["state"]
    assert "running" == command.json("resume", app, backfill)["state"]
    assert 0 == command("run", app, "--for", "0.1s", "--no-web", "--no-console")
    other = command.json("backfill", app, "hourly", *DAY, "--reprocess", "all")["backfill"]
    assert "cancelled" == command.json("cancel", app, other)["state"]
    for verb in ("cancel", "pause", "resume"):
        assert 2 == command(verb, app, other)
        assert "expected a backfill that has not ended; this one is cancelled" in command.err


def test_what_is_neither_is_an_error_about_both(app: str, command: Command) -> None:
    assert 2 == command("cancel", app, "01a216ea-e7bc-75d9-9fd5-798a457bd8be")
    assert "RUN|BACKFILL=" in command.err
    assert 2 == command("pause", app, "01a216ea-e7bc-75d9-9fd5-798a457bd8be")
    assert "expected the id of a job or of a backfill" in command.err
