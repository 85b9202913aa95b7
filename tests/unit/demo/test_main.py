"""The demo from its command line to its totals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from mainspring.demo.__main__ import main

pytestmark = pytest.mark.extras


def last_line(capsys: pytest.CaptureFixture[str]) -> Mapping[str, Any]:
    """Return the object in the last line of standard output."""
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return answer


def test_two_days_are_loaded_exactly_and_a_second_run_answers_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--days", "2", "--once", "--json", "--state", str(tmp_path / "state")]
    assert 0 == main(command)
    first = last_line(capsys)
    assert (48, 1785, 2) == (first["intervals"], first["flights"], first["days"])
    assert first["retries"] > 0
    assert 0 == main(command)
    second = last_line(capsys)
    assert (48, 1785, 2) == (second["intervals"], second["flights"], second["days"])
    assert (first["retries"], first["runs_per_second"]) == (second["retries"], second["runs_per_second"])
    assert second["seconds"] < first["seconds"]


def test_it_runs_on_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mainspring.demo", "--days", "1", "--state", str(tmp_path / "state"), "--fresh"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        lines: list[str] = []
        for line in child.stdout or ():
            lines.append(line)
            if "Ctrl-C ends it" in line:
                child.send_signal(signal.SIGINT)
        assert 0 == child.wait(timeout=20)
    assert any("24 hours, 842 flights and 1 days" in line for line in lines)


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


def test_a_damaged_database_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flights.db").write_bytes(b"no database at all" * 1000)
    assert 3 == main(["--once", "--days", "1", "--state", str(tmp_path)])
    said = capsys.readouterr().err
    assert "flights.db" in said
    assert "Traceback" not in said


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
