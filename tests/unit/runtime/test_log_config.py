"""What basic_config installs, writes and takes back."""

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from logging.handlers import SysLogHandler
from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import BufferedHandler, LogBlock, LogFormat, LogLevel, basic_config
from mainspring.runtime._log_config import level_number, watch_loop


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """Put the root logger and the hook back afterwards."""
    logger, hook = logging.getLogger(), sys.excepthook
    handlers, level = list(logger.handlers), logger.level
    yield logger
    basic_config(log_format="disabled", buffered=False)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    sys.excepthook = hook


def written(log_format: str, *, message: str = "hello %s", **options: Any) -> str:
    stream = StringIO()
    basic_config("debug", log_format, stream=stream, **options)
    logging.getLogger("app").warning(message, "you")
    basic_config(log_format="disabled", buffered=False)
    return stream.getvalue()


@pytest.mark.parametrize("buffered", [True, False])
def test_each_format_for_people(buffered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "hello you\n" == written("plain", buffered=buffered)
    assert "WARNING:app:hello you\n" == written("stream", buffered=buffered)
    assert "%% WARNING:app:hello you\n" == written("stream", buffered=buffered, date_format="%%%%")
    colored = written("color", buffered=buffered, date_format="DATE")
    assert "DATE [T:MainThread] \x1b[33mWARNING\x1b[0m:app: hello you\n" == colored
    monkeypatch.setenv("NO_COLOR", "1")
    assert written("color", buffered=buffered).endswith("[T:MainThread] WARNING:app: hello you\n")


def test_control_characters_cannot_forge_lines() -> None:
    assert "a\\nb\\r\\x1b[31m\\u2028\t\\x9f you\n" == written("plain", message="a\nb\r\x1b[31m\u2028\t\x9f %s")
    stream = StringIO()
    basic_config(log_format="plain", stream=stream, buffered=False)
    try:
        raise ValueError("\x1b[2Jgone")
    except ValueError:
        logging.exception("failed")
    lines = stream.getvalue().splitlines()
    assert "failed" == lines[0]
    assert "Traceback (most recent call last):" == lines[1]
    assert "ValueError: \\x1b[2Jgone" == lines[-1]


@pytest.mark.parametrize("log_format", ["plain", "stream", "color", "json"])
def test_a_block_of_the_program_keeps_its_lines_and_nothing_else(log_format: str) -> None:
    """A table is unreadable as one line; arguments may be anybody's."""
    stream = StringIO()
    basic_config(log_format=log_format, stream=stream)
    logging.warning(LogBlock("usage:\n  1 \x1b[2J"))
    logging.warning(LogBlock("usage: %s"), "2\n3")
    basic_config(log_format="disabled", buffered=False)
    lines = stream.getvalue().splitlines()
    if log_format == "json":
        assert ["usage:\n  1 \x1b[2J", "usage: 2\n3"] == [json.loads(line)["msg"] for line in lines]
    else:
        assert 3 == len(lines)
        assert "  1 \\x1b[2J" == lines[1]
        assert lines[0].endswith("usage:")
        assert lines[2].endswith("usage: 2\\n3")


def test_json_has_fields_arguments_level_and_stack() -> None:
    logging.addLevelName(25, "NOTICE")
    stream = StringIO()
    basic_config(log_format="json", stream=stream, buffered=True)
    log = logging.getLogger("app")
    log.critical("number %d of %s", 3, [object], extra={"run_id": "r1"})
    log.log(25, "named %(a)s", {"a": "ä"})
    try:
        raise KeyError("k")
    except KeyError:
        log.exception("failed\n")
    basic_config(log_format="disabled", buffered=False)
    first, second, third = (json.loads(line) for line in stream.getvalue().splitlines())
    assert "critical" == first["level"]
    assert "number 3 of [<class 'object'>]" == first["msg"]
    assert ("number %d of %s", 3, "r1") == tuple(
        first["@fields"][name] for name in ("message_raw", "argument_0", "run_id")
    )
    assert isinstance(first["@timestamp"], float)
    assert ("notice", "named ä", "ä") == (second["level"], second["msg"], second["@fields"]["argument_a"])
    assert (255, "error") == (third["@fields"]["errno"], third["level"])
    assert "KeyError" in third["stackTrace"]


def test_json_has_none_of_what_strict_readers_refuse() -> None:
    stream = StringIO()
    basic_config(log_format="json", stream=stream, buffered=False)
    circle: list[object] = []
    circle.append(circle)
    logging.warning(
        "%f of %d at %.1f", float("nan"), 3, 0.5, extra={"share": float("inf"), "parts": circle, "run_id": "r1"}
    )
    basic_config(log_format="disabled", buffered=False)
    line = json.loads(stream.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "nan of 3 at 0.5" == line["msg"]
    wanted = {
        "argument_0": "nan",
        "argument_1": 3,
        "argument_2": 0.5,
        "share": "inf",
        "parts": "[[...]]",
        "run_id": "r1",
    }
    assert wanted == {name: line["@fields"][name] for name in wanted}


def test_json_with_a_date_format() -> None:
    assert "DATE" == json.loads(written("json", date_format="DATE"))["@timestamp"]
    assert "@timestamp" not in json.loads(written("json", date_format=""))


def test_own_handlers_are_buffered_too_and_the_last_call_counts(root: logging.Logger) -> None:
    stream = StringIO()
    mine, buffered = logging.StreamHandler(stream), BufferedHandler(logging.StreamHandler(stream))
    basic_config(LogLevel.error, "disabled", handlers=(mine, buffered))
    assert logging.ERROR == root.level
    assert all(isinstance(one, BufferedHandler) for one in root.handlers)
    logging.error("twice")
    basic_config(logging.INFO, LogFormat.plain, buffered=False)
    assert "twice\ntwice\n" == stream.getvalue()
    assert [logging.StreamHandler] == [type(one).__mro__[1] for one in root.handlers]
    buffered.close()


def test_levels_by_number_name_and_custom_name() -> None:
    logging.addLevelName(25, "NOTICE")
    assert [10, 20, 30, 25, 0] == [level_number(one) for one in (10, "info", "WARNING", "notice", "0")]
    with pytest.raises(InvalidArgumentError, match="critical, error"):
        basic_config("loud")
    with pytest.raises(InvalidArgumentError, match="disabled, stream"):
        basic_config(log_format="loud")
    with pytest.raises(InvalidArgumentError, match="log_format=99"):
        basic_config(log_format=99)


def test_syslog_notes_that_it_takes_no_date_format(capsys: pytest.CaptureFixture[str]) -> None:
    basic_config(log_format="syslog", date_format="%H")
    assert "syslog dates records itself" in capsys.readouterr().err


@pytest.mark.parametrize("buffered", [True, False])
def test_what_a_configuration_opened_the_next_one_closes(buffered: bool) -> None:
    given = logging.FileHandler(os.devnull)
    basic_config(log_format="syslog", buffered=buffered, handlers=[given])
    first = logging.getLogger().handlers[0]
    opened = first.target if isinstance(first, BufferedHandler) else first
    assert isinstance(opened, SysLogHandler)
    basic_config(log_format="disabled", buffered=False)
    assert getattr(opened, "socket", None) is None
    assert given.stream is not None
    assert not given.stream.closed
    given.close()


def test_unhandled_errors_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    stream = StringIO()
    basic_config(log_format="stream", stream=stream, buffered=False)
    sys.excepthook(ValueError, ValueError("lost"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert stream.getvalue().startswith("ERROR:unhandled:Unhandled exception\nValueError: lost")
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_errors_that_nobody_awaits_are_logged_with_fields() -> None:
    class Transport(asyncio.Transport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return ("127.0.0.1", 80) if name == "peername" else default

    stream = StringIO()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        basic_config(log_format="json", stream=stream, buffered=False, loop=loop)
        loop.call_exception_handler({"message": "oops", "exception": OSError("x"), "transport": Transport()})
        watch_loop(loop)
        loop.call_exception_handler({"message": "again"})
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert ("asyncio.unhandled", "('127.0.0.1', 80)") == (first["@fields"]["identifier"], first["@fields"]["peername"])
    assert "again" == second["msg"]


def test_the_default_format_follows_where_stderr_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        assert "plain" == LogFormat.default()
        monkeypatch.setattr(file, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", _Terminal())
    nothing: dict[str, object] = {}
    monkeypatch.setattr("mainspring.runtime._log_format.find_spec", nothing.get)
    assert "color" == LogFormat.default()
    monkeypatch.setattr("mainspring.runtime._log_format.find_spec", {"rich": object()}.get)
    assert "rich" == LogFormat.default()
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert "rich" == LogFormat.default()
    monkeypatch.setattr(sys, "stderr", None)
    assert "plain" == LogFormat.default()
    assert "rich_tb" in LogFormat.choices()


def test_the_journal_is_the_default_under_systemd_where_its_library_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A program without that extra starts, too: what it writes to stderr comes to the journal all the same."""
    with (tmp_path / "journal").open("w") as file:
        status = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(sys, "stderr", file)
        monkeypatch.setattr("mainspring.runtime._log_format.find_spec", {"logging_journald": object()}.get)
        assert "journald" == LogFormat.default()
        monkeypatch.setattr("mainspring.runtime._log_format.find_spec", dict[str, object]().get)
        assert "plain" == LogFormat.default()


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_what_follows_a_sink_that_hangs_is_buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.runtime._log_config._MAX_RETIRE", 0.01)
    gate = threading.Event()

    class Hanging(StringIO):
        def write(self, text: str) -> int:
            gate.wait(30)
            return super().write(text)

    basic_config(log_format="plain", stream=(stream := Hanging()), flush_interval=0.0)
    logging.warning("first")
    (hung,) = logging.getLogger().handlers
    assert isinstance(hung, BufferedHandler)
    basic_config(log_format="plain", stream=stream, buffered=False)
    (next_one,) = logging.getLogger().handlers
    assert isinstance(next_one, BufferedHandler)
    logging.warning("second")
    hung.flush()
    writer = hung._thread
    gate.set()
    assert next_one.drain(30)
    assert writer is not None
    writer.join(30)  # it was given up, so nothing else waits for it
    assert {"first", "second"} == set(stream.getvalue().split())


def test_a_configuration_that_is_refused_changes_nothing() -> None:
    basic_config(log_format="plain", stream=(stream := StringIO()), buffered=False)
    with pytest.raises(InvalidArgumentError, match="buffer_size"):
        basic_config(log_format="plain", buffer_size=0)
    logging.warning("still here")
    assert "still here\n" == stream.getvalue()
