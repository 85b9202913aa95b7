"""Tables fit the terminal: columns are left out whole, and nothing is cut where it is read by programs."""

import io
from typing import Any

import pytest

pytest.importorskip("typer")

from rich.console import Console

from mainspring.cli._output import log_rows, write_facts, write_log, write_rows
from mainspring.jobs import LogLine, RunLog

pytestmark = pytest.mark.extras

RUN = "01a214e7-6f9e-7cdf-8c75-8ccd587f9f55"
ROW: dict[str, Any] = {"run": RUN, "state": "failed", "job": "load_flights", "error": "ValueError: " + "x " * 60}


def table(console: Console, *columns: str) -> str:
    write_rows([ROW], columns=columns, as_json=False, empty="", console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_each_row_in_one_whole_line() -> None:
    written = table(Console(file=io.StringIO(), width=80), "run", "state", "job", "error")
    assert 2 == len(written.splitlines())
    assert [line.rstrip() for line in written.splitlines()] == written.splitlines()
    assert ROW["error"].strip() in written


def test_a_narrow_terminal_leaves_the_last_columns_out_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=50, force_terminal=True, color_system=None)
    written = table(console, "run", "state", "job", "error")
    assert RUN in written
    assert "load" not in written
    assert capsys.readouterr().err == "note: the terminal is too narrow for job, error; --json has all\n"


def test_a_wide_terminal_folds_long_text_and_cuts_no_id(capsys: pytest.CaptureFixture[str]) -> None:
    written = table(
        Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None), "run", "state", "job", "error"
    )
    assert 2 < len(written.splitlines())
    assert RUN in written
    assert "load_flights" in written
    assert capsys.readouterr().err == ""


def test_texts_of_others_are_shown_as_they_are_and_move_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"error": "no [bold]key[/bold] [a] :warning: [/x] \x1b[31m", "tags": ["[b]", "\x07"]}
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
        write_rows([row], columns=("error", "tags"), as_json=False, empty="", console=console)
        assert isinstance(console.file, io.StringIO)
        assert r"no [bold]key[/bold] [a] :warning: [/x] \x1b[31m  [b], \x07" in console.file.getvalue()
    write_facts({**row, "traceback": "first\n  second\x1b[2J"}, as_json=False)
    assert [
        r"error      no [bold]key[/bold] [a] :warning: [/x] \x1b[31m",
        r"tags       [b], \x07",
        "traceback  first",
        r"  second\x1b[2J",
    ] == capsys.readouterr().out.splitlines()


def test_one_column_is_written_however_narrow_the_terminal_is() -> None:
    assert RUN in table(Console(file=io.StringIO(), width=20, force_terminal=True, color_system=None), "run")


def test_lost_lines_are_said_where_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [LogLine(number, "info", "shop", f"line {number}") for number in (1, 2, 9)]
    rows = log_rows([(1, RunLog(lines=(lines[0],))), (2, RunLog(lines=tuple(lines), dropped_count=6, first_count=2))])
    assert [1, 2, 2, 2, 2] == [row["attempt"] for row in rows]
    write_log(rows)
    told = capsys.readouterr().out.splitlines()
    assert ["line 1", "line 2", "(6 lines are lost)", "line 9"] == [
        line.rsplit(": ", 1)[-1].lstrip(" 2") for line in told[2:]
    ]
