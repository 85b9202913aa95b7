"""`mainspring pause`, `resume` and `schedule`, and what the listings say of jobs that somebody steers."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("typer")

from tests.unit.cli.support_commands import Command

pytestmark = pytest.mark.extras

APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process")

@app.job("hourly", cron="0 * * * *")
async def hourly():
    pass
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("steer_shop", None)
    path = tmp_path / "steer_shop.py"
    path.write_text(APP)
    return str(path)


def test_a_job_is_paused_and_resumed(app: str, command: Command) -> None:
    assert {"job": "hourly", "paused": True} == command.json("pause", app, "hourly")
    (row,) = command.json("jobs", app)
    assert row["paused"]
    assert "yes" in list(command.lines("jobs", app))[1].split()
    assert ["job hourly", "state resumed"] == list(command.lines("resume", app, "hourly"))
    (row,) = command.json("jobs", app)
    assert not row["paused"]


def test_unknown_jobs_are_wrong_input(app: str, command: Command) -> None:
    for verb in ("pause", "resume"):
        assert 2 == command(verb, app, "nobody")
        sentence = "error: JOB|BACKFILL='nobody' is not accepted: expected the id of a job or of a backfill"
        assert f"{sentence}\nhint: known jobs: hourly; `mainspring backfills` lists the backfills\n" == command.err


def test_a_schedule_is_put_over_that_of_the_code_and_taken_away(app: str, command: Command) -> None:
    assert ["the store has none yet"] == list(command.lines("schedule", app, "hourly"))
    assert ["every 60 s", "minute 0 of every hour (UTC)"] == [
        row["schedule"] for row in command.json("schedule", app, "hourly", "--every", "1m")
    ]
    (row,) = command.json("jobs", app)
    assert ("every 60 s", True) == (row["schedule"], row["overridden"])
    fires = command.json("plan", app, "hourly", "--after", "2013-01-01T00:00:00Z", "--count", "2")
    assert ["2013-01-01T00:01:00Z", "2013-01-01T00:02:00Z"] == [fire["fire"] for fire in fires]
    hour = ("--from", "2013-01-01T00:00Z", "--to", "2013-01-01T01:00Z")
    assert 60 == command.json("backfill", app, "hourly", *hour, "--dry-run")["intervals"]
    assert 60 == command.json("backfill", app, "hourly", *hour, "--config-at", "interval")["succeeded"]
    rows = command.json("schedule", app, "hourly", "--reset")
    assert [(3, "reset"), (2, "override"), (1, "code")] == [(row["version"], row["origin"]) for row in rows]
    assert 0 == command("schedule", app, "hourly", "--cron", "0 0 * * *", "--timezone", "Europe/Berlin")
    assert "Europe/Berlin" in command.out
    assert 0 == command("schedule", app, "hourly", "--at", "2100-01-01T00:00:00Z")
    assert "once at 2100-01-01T00:00:00Z" in command.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["hourly", "--reset", "--every", "5"], "no other option beside it"),
        (
            ["hourly", "--every", "5", "--cron", "* * * * *"],
            "--every='5' is not accepted: expected only one of --cron, --every, --at",
        ),
        (["hourly", "--timezone", "UTC"], "--timezone='UTC' is not accepted: expected one of --cron, --every, --at"),
        (["hourly", "--cron", "often"], "cron"),
        (["nobody"], "hint: known jobs: hourly"),
    ],
)
def test_what_cannot_be_a_schedule_is_said_in_a_sentence(
    app: str, command: Command, argv: list[str], said: str
) -> None:
    assert 2 == command("schedule", app, *argv)
    assert said in command.err


def test_a_store_that_cannot_be_read_leaves_the_schedules_of_the_code(app: str, command: Command) -> None:
    with closing(sqlite3.connect(Path(app).with_name("state.db"))) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.execute("CREATE TABLE other(x)")
    assert 0 == command("plan", app, "hourly")
    assert "these are the schedules of the code" in command.err
