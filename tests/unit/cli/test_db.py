"""`mainspring db`: bringing a store up to date, looking for trouble, pruning, copying."""

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("typer")

from tests.unit.cli.support_commands import Command
from tests.unit.storage.support_users import as_nobody, unprivileged

pytestmark = pytest.mark.extras

APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process")

@app.job("greet")
async def greet():
    pass

@app.job("boom")
async def boom():
    raise ValueError("no luck")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from mainspring.jobs.engine import _retention

    monkeypatch.setattr(_retention, "SPARED", 0.0)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("db_shop", None)
    path = tmp_path / "db_shop.py"
    path.write_text(APP)
    return str(path)


def store_of(app: str) -> Path:
    return Path(app).with_name("state.db")


def edit(app: str, statement: str) -> None:
    with closing(sqlite3.connect(store_of(app))) as connection, connection:
        connection.execute(statement)


def test_a_store_is_created_and_brought_up_to_date(app: str, command: Command) -> None:
    first = command.json("db", "upgrade", app)
    assert first["from"] is None
    assert first["to"] >= 6
    assert {"from": first["to"], "to": first["to"]} == command.json("db", "upgrade", app)


def test_a_sound_store_is_well_and_others_are_named(app: str, command: Command) -> None:
    assert 3 == command("db", "check", app)
    assert "there is no store" in command.err
    assert 0 == command("trigger", app, "greet", "--wait")
    assert ["all is well"] == list(command.lines("db", "check", app))
    edit(app, "UPDATE tally SET count = 7 WHERE state = 'succeeded'")
    assert 3 == command("db", "check", app)
    assert "job greet has 1 runs that ended as succeeded, and 7 are counted" in command.out
    (row,) = command.json("db", "check", app)
    assert ["problem"] == list(row)


def test_history_is_pruned_by_bounds(app: str, command: Command) -> None:
    for job in ("greet", "greet", "greet", "boom", "boom"):
        command("trigger", app, job, "--wait")
    assert {"pruned": 0} == command.json("db", "prune", app)
    assert {"pruned": 1} == command.json("db", "prune", app, "--keep", "1", "--state", "failed")
    assert {"pruned": 2} == command.json("db", "prune", app, "--keep", "1")
    assert {"pruned": 0} == command.json("db", "prune", app, "--older-than", "1d")
    assert ["pruned 2"] == list(command.lines("db", "prune", app, "--older-than", "0"))


def test_a_copy_is_a_store(app: str, command: Command, tmp_path: Path) -> None:
    command("trigger", app, "greet", "--wait")
    copy = tmp_path / "copy.db"
    said = command.json("db", "backup", app, str(copy))
    assert {"file": str(copy), "bytes": copy.stat().st_size} == said
    assert 2 == command("db", "backup", app, str(copy))
    assert "a file that does not exist yet" in command.err
    missing = str(tmp_path / "missing" / "copy.db")
    assert 2 == command("db", "backup", app, missing)
    sentence = f"error: file={missing!r} is not accepted: expected a file in a folder that exists"
    assert f"{sentence}\nhint: make the folder {tmp_path / 'missing'} first, or name another one\n" == command.err
    copy.replace(store_of(app))
    for left in ("-wal", "-shm"):
        store_of(app).with_name(f"state.db{left}").unlink(missing_ok=True)
    assert ["greet"] == [run["job"] for run in command.json("runs", app)]


def test_the_store_of_another_app_is_looked_after_but_not_used(app: str, command: Command, tmp_path: Path) -> None:
    assert 0 == command("trigger", app, "greet", "--wait")
    edit(app, "UPDATE store_app SET label = 'flights'")
    for argv in (
        ("trigger", app, "greet", "--wait"),
        ("trigger", app, "greet"),
        ("pause", app, "greet"),
        ("jobs", app),
        ("runs", app),
        ("db", "prune", app),
    ):
        assert 3 == command(*argv)
        assert "belongs to the app 'flights', and 'shop' is another one" in command.err
        assert "JobApp('shop', was=('flights',))" in command.err
    assert ["all is well"] == list(command.lines("db", "check", app))
    assert 0 == command("db", "backup", app, str(tmp_path / "copy.db"))
    assert 0 == command("db", "upgrade", app)


def test_a_store_where_this_user_may_not_look_is_not_taken_for_missing(app: str, command: Command) -> None:
    with unprivileged() as folder:
        own = str(shutil.copy(app, folder))
        store = folder / "closed" / "state.db"
        store.parent.mkdir(0o700)
        commands = [("--store", f"sqlite:///{store}", *words, own) for words in (("db", "upgrade"), ("db", "check"))]
        for argv in commands:
            assert 0 == command(*argv), command.err  # all that they import is read by now
        with as_nobody():
            for argv in commands:
                assert 3 == command(*argv)
                first, second = command.err.splitlines()
                assert f"error: cannot open the store {store}: Permission denied" == first
                assert second.startswith("hint: let this user enter the directories")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--state", "failed"], "a bound beside it: --older-than or --keep"),
        (["--state", "running", "--keep", "1"], "a state that runs end in: succeeded, failed, cancelled, skipped"),
        (["--older-than", "long"], "a duration such as"),
    ],
)
def test_bounds_that_mean_nothing_are_wrong_input(app: str, command: Command, argv: list[str], said: str) -> None:
    assert 2 == command("db", "prune", app, *argv)
    assert said in command.err
