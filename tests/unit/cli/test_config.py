"""`mainspring config` and what it says of a job's stored config."""

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
from typing import Annotated
import msgspec
from mainspring.jobs import SECRET, JobApp

class Api(msgspec.Struct):
    rows: int = 1
    pin: Annotated[str, SECRET] = ""

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process")

@app.job("load", schema=Api, config={"rows": 10})
async def load(config):
    return config

@app.job("plain")
async def plain():
    pass
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("config_shop", None)
    path = tmp_path / "config_shop.py"
    path.write_text(APP)
    return str(path)


def edit(app: str, statement: str) -> None:
    with closing(sqlite3.connect(Path(app).with_name("state.db"))) as connection, connection:
        connection.execute(statement)


def test_what_is_set_is_what_runs_get(app: str, command: Command) -> None:
    said = command.json("config", "set", app, "load", "rows=20", 'pin="1234"', "--comment", "more")
    assert ("load", 1) == (said["job"], said["version"])
    assert [{"key": "pin", "after": "***"}, {"key": "rows", "after": 20}] == said["changes"]
    assert {"rows": 20, "pin": "1234"} == command.json("trigger", app, "load", "--wait")["value"]
    assert 0 == command("config", "set", app, "load", "rows=30", "--unset", "pin")
    assert "changes         pin unset, rows=30 (was 20)" in command.out
    assert {"job": "load", "version": 2, "config": {"rows": 30}} == command.json("config", "get", app, "load")


@pytest.mark.parametrize(
    ("edit_to", "why"), [("'nonsense'", "its value is no JSON object"), ("'{\"rows\": []}'", "rows: expected `int`")]
)
def test_a_newest_version_that_is_broken_is_told_beside_what_runs_get(
    app: str, command: Command, edit_to: str, why: str
) -> None:
    for rows in (20, 30):
        assert 0 == command("config", "set", app, "load", f"rows={rows}")
    edit(app, f"UPDATE config SET value = {edit_to} WHERE version = 2")
    assert 0 == command("config", "get", app, "load")
    assert ["rows", "20"] == command.out.split()
    assert command.err.startswith("what was set last cannot be used, and version 1 stays in force: ")
    assert why in command.err
    said = command.json("config", "get", app, "load")
    assert ({"rows": 20}, 1) == (said["config"], said["version"])
    assert why in said["problem"]
    assert [False, True] == [one["in_force"] for one in command.json("config", "history", app, "load")]
    edit(app, f"UPDATE config SET value = {edit_to} WHERE version = 1")
    assert 0 == command("config", "get", app, "load")
    assert "and what is declared stays in force" in command.err


def test_the_history_is_shown_when_no_run_could_begin(
    app: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(app).parent)
    assert 0 == command("config", "set", app, "load", 'pin="1234"')
    Path("mainspring.toml").write_text("[jobs.load]\nrows = []\n")
    assert 0 != command("config", "get", app, "load")
    assert "rows: expected `int`" in command.err
    assert [False] == [one["in_force"] for one in command.json("config", "history", app, "load")]


def test_a_version_from_the_past_tells_what_of_today_it_undoes(app: str, command: Command) -> None:
    set_ = ("config", "set", app, "plain")
    assert 0 == command(*set_, "rows=1", "kept=1", "--from", "2013-01-01T00:00:00Z")
    assert "undone" not in command.json(*set_, "rows=2", 'a={"b": 3}')
    past = ("--from", "2014-01-01T00:00:00Z")
    assert ["a", "rows"] == command.json(*set_, "more=1", *past)["undone"]
    assert 0 == command("config", "rollback", app, "plain", "2")
    assert 0 == command(*set_, "rows=7", *past)
    told = "--from lies in the past, and what was set since does not count any more: a\n"
    assert told in command.err
    for harmless in (("rows=8",), ("rows=9", "--replace", *past), ("rows=9", "--from", "2999-01-01T00:00:00Z")):
        assert 0 == command(*set_, *harmless)
        assert "--from lies" not in command.err


def test_a_key_that_was_never_stored_cannot_be_unset(app: str, command: Command) -> None:
    assert 2 == command("config", "set", app, "load", "--unset", "pinn")
    assert "--unset='pinn' is not accepted: expected a stored key, and there is none" in command.err
    assert 0 == command("config", "set", app, "load", "rows=20", 'pin="1234"')
    assert 2 == command("config", "set", app, "load", "rows=30", "--unset", "pinn")
    assert "--unset='pinn' is not accepted: expected a stored key: pin, rows" in command.err
    assert [1] == [one["version"] for one in command.json("config", "history", app, "load")]


def test_a_config_is_shown_without_its_secrets(app: str, command: Command) -> None:
    assert ["rows 10"] == list(command.lines("config", "get", app, "load"))  # there is no store yet
    assert not Path(app).with_name("state.db").exists()
    assert 0 == command("config", "set", app, "load", 'pin="1234"', 'api={"token": "x", "page": 2}')
    assert ["rows 10", "pin ***", 'api {"token":"***","page":2}'] == list(command.lines("config", "get", app, "load"))
    assert "pin 1234" in list(command.lines("config", "get", app, "load", "--show-secrets"))
    assert {"api": {"token": "***", "page": 2}, "pin": "***"} == command.json(
        "config", "get", app, "load", "--version", "1"
    )["config"]
    assert ["the config is empty"] == list(command.lines("config", "get", app, "plain"))
    assert "1234" not in "".join(command.lines("config", "history", app, "load", "--json"))
    assert "1234" in "".join(command.lines("config", "history", app, "load", "--json", "--show-secrets"))


def test_history_says_what_each_version_changed_and_which_is_in_force(app: str, command: Command) -> None:
    assert ["nothing is stored"] == list(command.lines("config", "history", app, "load"))
    for argv in (
        ("set", app, "load", "rows=20", "--comment", "more"),
        ("set", app, "load", "rows=30"),
        ("rollback", app, "load", "1", "--comment", "too many"),
        ("set", app, "load", "--replace", "--from", "2100-01-01T00:00:00Z"),
    ):
        assert 0 == command("config", *argv), command.err
    rows = command.json("config", "history", app, "load")
    assert [4, 3, 2, 1] == [row["version"] for row in rows]
    assert [False, True, False, False] == [row["in_force"] for row in rows]
    assert [None, 1, None, None] == [row["rollback_of"] for row in rows]
    assert [{}, {"rows": 20}, {"rows": 30}, {"rows": 20}] == [row["values"] for row in rows]
    assert [[{"key": "rows", "before": 20}], [{"key": "rows", "before": 30, "after": 20}]] == [
        row["changes"] for row in rows[:2]
    ]
    assert 2 == len(command.json("config", "history", app, "load", "--limit", "2"))
    table = list(command.lines("config", "history", app, "load"))
    assert "version in_force changes effective_from comment rollback_of" == table[0]
    assert table[2].startswith("3 yes rows=20 (was 30) ")
    edit(app, "DELETE FROM config WHERE version = 1")
    assert [] == command.json("config", "history", app, "load")[-1]["changes"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["get", "APP", "nobody"], "hint: known jobs: load, plain"),
        (["set", "APP", "load"], "what to change, as rows=500"),
        (["set", "APP", "load", "rows"], "KEY=VALUE"),
        (["set", "APP", "load", "a=1", "--from", "soon"], "--from='soon' is not accepted: expected an instant"),
        (["set", "APP", "load", "rows=many"], "the config of job 'load' with version 1: rows: expected `int`"),
        (["rollback", "APP", "load", "7"], "version=7 is not accepted: expected a stored version"),
        (["get", "APP", "load", "--version", "7"], "hint: list them with `mainspring config history`"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(app: str, command: Command, argv: list[str], said: str) -> None:
    assert 2 == command("config", *[app if one == "APP" else one for one in argv])
    assert said in command.err
    assert "Traceback" not in command.err


def test_a_version_that_somebody_broke_is_shown_as_that(app: str, command: Command) -> None:
    for rows in (1, 2):
        assert 0 == command("config", "set", app, "load", f"rows={rows}")
    edit(app, "UPDATE config SET value = 'x' WHERE version = 2")
    newest, _ = command.json("config", "history", app, "load")
    assert (False, "its value is no JSON object") == (newest["in_force"], newest["comment"])
    assert {"rows": 1} == command.json("config", "get", app, "load")["config"]
    assert 2 == command("config", "get", app, "load", "--version", "2")
    assert "another one: its value is no JSON object" in command.err
