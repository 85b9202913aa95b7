"""The commands, on an app in a file: what they write, and the code they end with."""

import importlib.metadata
import io
import json
import os
import re
import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("typer")

from tests.unit.cli.support_commands import Command

from mainspring.cli import run_command_line

pytestmark = pytest.mark.extras

APP = """
from pathlib import Path
from mainspring.jobs import JobApp

app = JobApp("shop", store=Path(__file__).with_name("state.db"), durability="process", poll_interval=0.05)

@app.job(cron="0 * * * *", timezone="America/New_York")
async def hourly(data_interval):
    "Each hour."
    if data_interval.date.year == 2012:
        raise ValueError("too early")

@app.job("daily", cron="0 0 * * *", needs=("hourly",), tags=("slow", "sums"))
async def daily(data_interval):
    "Each day."

@app.job("greet", config={"name": "you"})
async def greet(config):
    return f"hello {config['name']}"

@app.job("talk")
async def talk(ctx):
    ctx.progress(30, 120)
    ctx.log.info("first\\x1b[2J\\nsecond line")

@app.job("boom")
async def boom():
    raise ValueError("no luck")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("cli_shop", "mainspring.demo.__main__"):  # as in a fresh interpreter
        sys.modules.pop(name, None)
    path = tmp_path / "cli_shop.py"
    path.write_text(APP)
    return str(path)


def test_jobs_are_listed(app: str, command: Command) -> None:
    rows = command.json("jobs", app)
    assert ["hourly", "daily", "greet", "talk", "boom"] == [row["job"] for row in rows]
    assert (["hourly"], ["slow", "sums"]) == (rows[1]["needs"], rows[1]["tags"])
    assert 0 == command("jobs", app)
    assert "Each day." in command.out


def test_a_triggered_run_is_listed_and_shown(app: str, command: Command) -> None:
    run = command.json("trigger", app, "greet", "--config", "name=Ann", "--wait")
    assert ("succeeded", "hello Ann") == (run["state"], run["value"])
    assert [run["run"]] == [row["run"] for row in command.json("runs", app, "--job", "greet", "--state", "succeeded")]
    assert 1 == command.json("show", app, run["run"])["attempt"]
    assert 0 == command("runs", app)
    assert run["run"] in command.out


def test_a_run_is_shown_with_what_it_logged(app: str, command: Command) -> None:
    run = command.json("trigger", app, "talk", "--wait")["run"]
    (line,) = command.json("show", app, run)["log"]
    assert (1, "info", "mainspring.jobs.talk") == (line["attempt"], line["level"], line["logger"])
    assert "first\x1b[2J\nsecond line" == line["message"]
    assert 0 == command("show", app, run)
    *_, first, second = command.out.splitlines()
    assert first.endswith(" info     mainspring.jobs.talk: first\\x1b[2J")
    assert "    second line" == second
    silent = command.json("trigger", app, "greet", "--wait")["run"]
    assert [] == command.json("show", app, silent)["log"]


def test_a_run_is_shown_with_its_progress(app: str, command: Command) -> None:
    run = command.json("trigger", app, "talk", "--wait")["run"]
    assert {"done": 30, "total": 120} == {
        name: value for name, value in command.json("show", app, run)["progress"].items() if name != "at"
    }
    for argv in (("show", app, run), ("runs", app)):
        assert 0 == command(*argv)
        assert "30 of 120 (25%)" in command.out


def test_a_run_that_is_not_there_is_wrong_input(app: str, command: Command) -> None:
    command("trigger", app, "greet")
    assert 2 == command("show", app, "0123456789")
    assert "hint: list them with" in command.err


def test_a_failed_run_is_exit_code_one_and_tells_why(app: str, command: Command) -> None:
    assert 1 == command("trigger", app, "boom", "--wait")
    assert "ValueError: no luck" in command.out
    (row,) = command.json("runs", app, "--state", "failed")
    assert "raise ValueError" in command.json("show", app, row["run"])["traceback"]


def test_a_run_can_be_left_to_others(app: str, command: Command) -> None:
    assert 0 == command("trigger", app, "greet")


def test_a_list_without_runs_says_so(app: str, command: Command) -> None:
    command("trigger", app, "greet")
    assert 0 == command("runs", app, "--job", "boom")
    assert "there are no such runs\n" == command.out
    assert [] == command.json("runs", app, "--job", "boom")


@pytest.mark.parametrize("argv", [("runs", "APP"), ("show", "APP", "0123456789")])
def test_a_store_that_does_not_exist_is_said_and_not_created(app: str, command: Command, argv: tuple[str, ...]) -> None:
    assert 3 == command(*(app if one == "APP" else one for one in argv))
    assert "there is no store at " in command.err
    assert 0 == command("jobs", app)
    assert "Each day." in command.out
    assert "note: there is no store at " in command.err
    assert not list(Path(app).parent.glob("state.db*"))


def test_lists_neither_claim_nor_register(app: str, command: Command) -> None:
    run = command.json("trigger", app, "greet")
    path = Path(app).with_name("state.db")

    def looked_at() -> object:
        with closing(sqlite3.connect(path)) as connection:
            tables = ("epoch", "job", "meta", "run", "history")
            return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]

    Path(app).write_text(APP + "\n@app.job('new')\nasync def new(): ...\n")
    sys.modules.pop("cli_shop", None)
    before = looked_at()
    assert "available" == command.json("show", app, run["run"])["state"]
    assert [run["run"]] == [row["run"] for row in command.json("runs", app)]
    assert "new" in [row["job"] for row in command.json("jobs", app)]
    assert before == looked_at()


def test_a_dry_run_counts_the_hours_of_a_short_day(app: str, command: Command) -> None:
    counted = command.json("backfill", app, "hourly", "--from", "2013-03-10", "--to", "2013-03-11", "--dry-run")
    assert 23 == counted["intervals"]
    assert not Path(app).with_name("state.db").exists()


def test_a_backfill_runs_to_its_end(app: str, command: Command) -> None:
    asked = ("hourly", "--from", "2013-11-03", "--to", "2013-11-04")
    ended = command.json("backfill", app, *asked, "--order", "desc", "--parallel", "4")
    assert (25, 25, 0) == (ended["total"], ended["succeeded"], ended["failed"])
    assert 0 == command("backfill", app, *asked, "--reprocess", "all")
    for which, count in (("missing", 0), ("failed", 0), ("all", 25)):
        assert count == command.json("backfill", app, *asked, "--dry-run", "--reprocess", which)["intervals"]
    longer = ("hourly", "--from", "2013-11-03", "--to", "2013-11-05")
    assert 24 == command.json("backfill", app, *longer, "--dry-run")["intervals"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2013-03-10T00:00:00", "--to", "2013-03-11"), "--from='2013-03-10T00:00:00' .* or a date"),
        (("--from", "2013-03-10", "--to", "soon"), "--to='soon' .* ISO text"),
        (("--from", "2013-03-11", "--to", "2013-03-10"), "--from='2013-03-11' .* before --to='2013-03-10'"),
        (("--from", "2013-03-10", "--to", "2013-03-11", "--parallel", "0"), "--parallel=0 .* an int >= 1"),
    ],
)
def test_a_backfill_that_cannot_be_names_its_option(
    app: str, command: Command, options: tuple[str, ...], said: str
) -> None:
    assert 2 == command("backfill", app, "hourly", *options, "--detach")
    assert re.search(f"^error: {said}", command.err)


def test_an_estimated_total_is_marked(app: str, command: Command) -> None:
    asked = ("hourly", "--from", "2013-11-03", "--to", "2013-11-04")
    assert 0 == command("backfill", app, *asked, "--detach")
    assert "~25" == dict(line.split(None, 1) for line in command.out.splitlines())["total"]
    another = ("hourly", "--from", "2013-11-05", "--to", "2013-11-06")  # for the command goes on with the first, too
    assert 0 == command("backfill", app, *another)
    assert "24" == dict(line.split(None, 1) for line in command.out.splitlines())["total"]


def test_a_backfill_goes_on_with_what_needs_its_intervals(app: str, command: Command) -> None:
    day = ("backfill", app, "hourly", "--from", "2013-02-01T00:00Z", "--to", "2013-02-02T00:00Z")
    ended = command.json(*day, "--downstream")
    assert [("daily", 1, "finished")] == [(one["job"], one["succeeded"], one["state"]) for one in ended["downstream"]]
    assert 0 == command(*day, "--reprocess", "all", "--downstream")
    assert "daily: 1 succeeded, 0 left, finished" in command.out


def test_a_backfill_leaves_what_is_blocked_downstream(app: str, command: Command) -> None:
    hour = ("backfill", app, "hourly", "--from", "2013-02-01T00:00Z", "--to", "2013-02-01T01:00Z")
    assert 0 == command(*hour, "--downstream")
    assert "daily: 0 succeeded, 1 left, running" in command.out
    assert "note: 1 left, blocked by hourly 2013-02-01T01:00Z; the backfill stays in the store\n" == command.err
    (waiting,) = command.json("runs", app, "--state", "waiting")
    assert "blocked by hourly 2013-02-01T01:00Z" == waiting["blocked_by"]
    assert 0 == command("runs", app, "--state", "waiting")
    assert "blocked by hourly 2013-02-01T01:00Z" in command.out


def test_a_backfill_with_failures_is_exit_code_one(app: str, command: Command) -> None:
    assert 1 == command("backfill", app, "hourly", "--from", "2012-05-01", "--to", "2012-05-02")
    assert "failed     24" in command.out


def test_a_detached_backfill_returns_at_once(app: str, command: Command) -> None:
    asked = ("backfill", app, "hourly", "--from", "2013-01-01", "--to", "2014-01-01", "--detach")
    assert "running" == command.json(*asked)["state"]


@pytest.mark.parametrize("words", [("trigger", "greet"), ("pause", "greet"), ("config", "set", "greet", "name=me")])
def test_what_only_a_memory_would_keep_is_refused(app: str, command: Command, words: tuple[str, ...]) -> None:
    *verb, job = words[: 2 + (words[0] == "config")]
    assert 2 == command("--store", "memory", *verb, app, job, *words[len(verb) + 1 :])
    assert "error: store='memory' is not accepted: expected a file" in command.err
    assert 0 == command("--store", "memory", "trigger", app, "greet", "--wait")


def test_a_plan_marks_what_the_clock_does(app: str, command: Command) -> None:
    fires = command.json("plan", app, "hourly", "--after", "2013-03-10T05:00:00Z", "--count", "2")
    assert ["", "clock forward 1:00"] == [fire["clock"] for fire in fires]
    assert 0 == command("plan", app, "greet")
    assert "no further fire times" in command.out
    assert 0 == command("plan", app, "hourly")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["jobs", "missing.py"], "there is no file missing.py"),
        (["trigger", "APP", "nope"], "hint: known jobs: hourly"),
        (["trigger", "APP", "greet", "--config", "name"], "KEY=VALUE"),
        (["plan", "APP", "hourly", "--after", "soon"], "expected an instant"),
        (["plan", "APP", "hourly", "--after", "2013-01-01T00:00:00"], "expected an instant"),
        (["plan", "APP", "hourly", "--count", "0"], "--count"),
        (["backfill", "APP", "hourly", "--from", "2013-01-02", "--to", "2013-01-01"], "before --to="),
        (["backfill", "APP", "hourly", "--from", "2013-01-01T00:00", "--to", "2013-01-02"], "aware"),
        (["backfill", "APP", "hourly", "--from", "2013-01-01", "--to", "2013-01-02", "--parallel", "0"], ">= 1"),
        (["backfill", "APP", "greet", "--from", "2013-01-01", "--to", "2013-01-02"], "cron or every"),
        (["run", "APP", "--for", "a while"], "--for"),
        (["runs", "APP", "--state", "nope"], "nope"),
        (["nonsense"], "No such command"),
        (["demo", "--days", "0"], "expected 1 to 365"),
    ],
)
def test_wrong_input_is_a_sentence_and_exit_code_two(app: str, command: Command, argv: list[str], said: str) -> None:
    assert 2 == command(*(app if one == "APP" else one for one in argv))
    assert said in command.err
    assert "Traceback" not in command.err


def test_trouble_with_the_store_is_exit_code_three(app: str, command: Command) -> None:
    Path(app).with_name("state.db").write_bytes(b"no database at all" * 1000)
    assert 3 == command("jobs", app)
    assert command.err.startswith("error: ")


def test_run_schedules_for_as_long_as_it_is_told(app: str, command: Command) -> None:
    assert 0 == command("run", app, "--no-web", "--for", "0.1s")
    assert "running 5 jobs of 'shop'" in command.out
    assert 5 == command.json("run", app, "--no-web", "--for", "0.1s")["jobs"]


def test_ctrl_c_has_its_own_code(app: str, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mainspring.cli._main.load_app", interrupted)
    assert 130 == command("jobs", app)


def test_a_full_disk_behind_the_output_is_one_sentence(
    app: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert 1 == run_command_line(["jobs", app])
    monkeypatch.undo()
    assert capsys.readouterr().err.endswith("error: the output cannot be written: No space left on device\n")


def test_a_full_disk_behind_an_unbuffered_output_is_one_sentence(
    app: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full, write_through=True))
        assert 1 == run_command_line(["jobs", app])
    monkeypatch.undo()
    assert capsys.readouterr().err.endswith("error: the output cannot be written: No space left on device\n")


def test_an_output_of_another_encoding_gets_escapes(
    app: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    with Path(app).open("a") as file:
        file.write("@app.job('größe')\nasync def size():\n    'Größe ✓'\n")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    assert 0 == run_command_line(["jobs", app])
    assert 0 == run_command_line(["jobs", app, "--json"])
    *lines, document = written.getvalue().decode("latin-1").splitlines()
    assert lines[-1].startswith("größe ")
    assert lines[-1].endswith(r"Größe \u2713")
    assert ("größe", "Größe ✓") == ((last := json.loads(document)[-1])["job"], last["what"])
    assert document.isascii()


def test_a_program_without_standard_streams_does_its_work(
    app: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    with monkeypatch.context() as without:
        for name in ("stdin", "stdout", "stderr"):
            without.setattr(sys, name, None)
        assert 0 == run_command_line(["trigger", app, "greet"])
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            number = stream.fileno()
            assert "/dev/null" == os.readlink(f"/proc/self/fd/{number}")
            stream.close()  # writes what is buffered; the descriptor stays
            os.close(number)
    assert ["greet"] == [one["job"] for one in command.json("runs", app)]


def test_a_reader_that_left_is_no_error(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mainspring", "plan", app, "hourly"]
    try:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    finally:
        os.close(writer)
    assert (1, "") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "secret.toml"), OSError(28, "No space left on device")]
)
def test_what_else_the_system_refuses_is_not_taken_for_the_output(
    error: OSError, app: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    def refused(_: object) -> None:
        raise error

    monkeypatch.setattr("mainspring.cli._main.load_app", refused)
    with pytest.raises(OSError, match=str(error.strerror)):
        command("jobs", app)


def test_the_demo_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert 2 == command("demo", "--help")
    assert 'hint: pip install "mainspring[demo]"' in command.err


def test_the_module_runs_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mainspring", "--help"])
    sys.modules.pop("mainspring.__main__", None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("mainspring", run_name="__main__", alter_sys=True)
    assert 0 == ended.value.code
    assert "backfill" in capsys.readouterr().out


def test_without_its_extra_the_command_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mainspring.__main__ import main

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="typer")

    monkeypatch.setattr("mainspring.cli.__getattr__", missing)
    monkeypatch.delattr("mainspring.cli.run_command_line", raising=False)
    with pytest.raises(SystemExit) as ended:
        main()
    assert 2 == ended.value.code
    assert 'pip install "mainspring[cli]"' in capsys.readouterr().err


def test_ctrl_c_while_the_command_line_is_loaded_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from mainspring.__main__ import main

    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mainspring.cli.__getattr__", interrupted)
    monkeypatch.delattr("mainspring.cli.run_command_line", raising=False)
    with pytest.raises(SystemExit) as ended:
        main()
    assert 130 == ended.value.code


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--version"]) == 0
    assert capsys.readouterr().out == f"mainspring {importlib.metadata.version('mainspring')}\n"


def test_each_line_of_the_list_of_commands_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--help"]) == 0
    said = capsys.readouterr().out
    assert "backfill" in said
    assert "..." not in said.partition("Commands")[2]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ["jobs", "app.py", "--store", "x.db"],
            "hint: --store stands before the command: mainspring --store ... jobs\n",
        ),
        (
            ["plan", "app.py", "j", "--state=x"],
            "hint: --state stands before the command: mainspring --state ... plan\n",
        ),
        (["bench", "--store", "x.db", "--seconds", "x"], ""),
        (["jobs"], ""),
    ],
)
def test_an_option_of_all_commands_is_told_its_place(
    capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    assert run_command_line(words) == 2
    error = capsys.readouterr().err
    assert error.endswith(hint)
    assert hint or "hint:" not in error
