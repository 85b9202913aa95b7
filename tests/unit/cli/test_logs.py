"""What commands log where the app configures nothing: the formats and variables of programs."""

import io
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("typer")

from tests.unit.cli.support_commands import Command

from mainspring.cli._logs import house_logs
from mainspring.errors import InvalidArgumentError
from mainspring.runtime import LogFormat

pytestmark = pytest.mark.extras

APP = """
import logging
from mainspring.jobs import JobApp

app = JobApp("shop", store="memory")

@app.job("talk")
async def talk():
    logging.getLogger("logs_shop").warning("it was \\x1b[31mred")
"""

log = logging.getLogger("logs_shop")


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """No variable is set, and the loggers are as they begin."""
    monkeypatch.setattr(log, "disabled", False)
    for name in ("LEVEL", "FORMAT", "DATE_FORMAT", "CONFIG"):
        monkeypatch.delenv(f"MAINSPRING_LOG_{name}", raising=False)
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    yield
    root.setLevel(before)


@contextmanager
def unheard(monkeypatch: pytest.MonkeyPatch) -> Generator[pytest.MonkeyPatch]:
    """Let nothing but the last resort hear the root logger; pytest listens to it in each phase of a test."""
    with monkeypatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [])
        yield patch


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, ["level 30", "level 40"]),
        ({"FORMAT": "stream"}, ["WARNING:logs_shop:level 30", "ERROR:logs_shop:level 40"]),
        ({"LEVEL": "info"}, ["level 20", "level 30", "level 40"]),
        ({"LEVEL": "40"}, ["level 40"]),
        ({"DATE_FORMAT": "today"}, ["today level 30", "today level 40"]),
        ({"FORMAT": "disabled"}, []),
        ({"CONFIG": "0", "FORMAT": "stream"}, ["level 30", "level 40"]),
    ],
)
def test_what_nobody_handles_is_written_as_the_variables_say(
    variables: dict[str, str], lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"MAINSPRING_LOG_{name}", value)
    before = logging.lastResort, logging.getLogger().level
    with unheard(monkeypatch), house_logs():
        for number in (logging.INFO, logging.WARNING, logging.ERROR):
            log.log(number, "level %d", number)
    assert lines == [line for line in capsys.readouterr().err.splitlines() if "level" in line]
    assert before == (logging.lastResort, logging.getLogger().level)


def test_lines_for_people_go_where_the_standard_error_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogFormat, "default", lambda: "rich")  # as on a terminal
    later = io.StringIO()
    with unheard(monkeypatch) as patch, house_logs():
        patch.setattr(sys, "stderr", later)  # as a progress bar does
        log.warning("late")
    assert "[T:MainThread]" in later.getvalue()


def test_an_app_that_configures_logging_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = io.StringIO()
    with unheard(monkeypatch), house_logs():
        logging.basicConfig(stream=own, format="mine: %(message)s")
        log.warning("heard")
    assert "mine: heard" in own.getvalue()
    assert "heard" not in capsys.readouterr().err


def test_a_format_that_does_not_work_here_is_wrong_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    monkeypatch.setenv("MAINSPRING_LOG_FORMAT", "bogus")
    assert 2 == command("runs", "app.py")
    assert command.err.startswith("error: log_format='bogus' is not accepted")
    monkeypatch.setenv("MAINSPRING_LOG_FORMAT", "journald")
    monkeypatch.setattr("mainspring.runtime._log_system.JOURNAL_SOCKET", str(tmp_path / "none"))
    with (
        pytest.raises(InvalidArgumentError, match=r"MAINSPRING_LOG_FORMAT='journald'.*journal of systemd"),
        house_logs(),
    ):
        pass


def test_what_a_handler_logs_in_a_command_can_not_move_the_cursor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "logs_shop", raising=False)
    (tmp_path / "logs_shop.py").write_text(APP)
    with unheard(monkeypatch):
        assert 0 == command("trigger", str(tmp_path / "logs_shop.py"), "talk", "--wait")
    assert "it was \\x1b[31mred\n" in command.err
