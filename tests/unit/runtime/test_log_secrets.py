"""What is secret is stars in what is written, in every format and thread; handlers of others get what was logged."""

import json
import logging
import socket
import sys
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from tests.unit.runtime import support_chatty

from mainspring.base import child_talk
from mainspring.concurrency import WorkerPool
from mainspring.runtime import BufferedHandler, LogBlock, LogFormat, basic_config, hear_children, log_handler
from mainspring.runtime._log_secrets import safe_record
from mainspring.runtime._log_system import system_handler
from mainspring.tools import _secrets
from mainspring.tools._secrets import find_secrets, remember_secrets

here: ContextVar[Collection[str]] = ContextVar("here", default=())
KEY = "-----BEGIN KEY-----\n0a1b2c\n-----END KEY-----"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no secrets but those of the test."""
    monkeypatch.setattr(_secrets, "_remembered", {})
    monkeypatch.setattr(_secrets, "_longest_first", ())
    monkeypatch.setattr(_secrets, "_finders", [])


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Put the root logger and the hook back afterwards."""
    logger, hook = logging.getLogger(), sys.excepthook
    handlers, level = list(logger.handlers), logger.level
    yield logger
    basic_config(log_format="disabled", buffered=False)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    sys.excepthook = hook


def record(message: object, *args: Any, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("app", logging.INFO, __file__, 1, message, args, more.pop("exc_info", None))
    vars(made).update(more)
    return made


def raised(text: str) -> Any:
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("log_format", ["plain", "stream", "color", "json"])
def test_each_format_shows_stars_and_other_handlers_what_was_logged(
    log_format: str, buffered: bool, root: logging.Logger
) -> None:
    remember_secrets("remembered", KEY)
    find_secrets(here.get)
    stream, mine = StringIO(), StringIO()
    others = logging.StreamHandler(mine)
    basic_config("debug", log_format, stream=stream, buffered=buffered, handlers=[others])
    logger = logging.getLogger("app")
    token = here.set({"of this run"})
    logger.info("%s, %s and %s", "remembered", "of this run", "innocent")
    logger.info({"key": KEY, "other": "innocent"})
    logger.error("failed", exc_info=raised("no remembered"))
    logger.info("where", stack_info=True, extra={"account": {"ids": ("remembered", 5)}})
    here.reset(token)
    logger.info("elsewhere: of this run")
    basic_config(log_format="disabled", buffered=False)
    written = stream.getvalue()
    assert "remembered" not in written
    assert "0a1b2c" not in written
    assert "***, *** and innocent" in written
    assert "ValueError: no ***" in written
    assert written.count("elsewhere: of this run") == written.count("of this run") > 0, "none of another context"
    told = mine.getvalue()
    assert "remembered, of this run and innocent" in told
    assert "ValueError: no remembered" in told
    assert "0a1b2c" in told


def test_json_shows_stars_in_arguments_and_fields_and_keeps_the_rest() -> None:
    remember_secrets("remembered", "12345678")
    stream = StringIO()
    handler = log_handler(LogFormat.json, None, stream)
    handler.handle(record("%s of %d", "remembered", 5, fields={"list": ["remembered"], "n": 12345678}, fine=[1, None]))
    handler.handle(record("pin %d, %s", 12345678, True))
    handler.handle(record("%(who)s", {"who": "remembered"}))
    handler.handle(record("%s", b"remembered", owner=str))
    inside: list[object] = ["remembered"]
    inside.append(inside)
    handler.handle(record("in itself", box=inside))
    first, pin, named, raw, itself = (json.loads(line) for line in stream.getvalue().splitlines())
    assert ("*** of 5", "%s of %d") == (first["msg"], first["@fields"]["message_raw"])
    assert ("***", 5) == (first["@fields"]["argument_0"], first["@fields"]["argument_1"])
    assert ({"list": ["***"], "n": "***"}, [1, None]) == (first["@fields"]["fields"], first["@fields"]["fine"])
    assert ("pin ***, True", "pin ***, True") == (pin["msg"], pin["@fields"]["message_raw"])
    assert ("***", "***") == (named["msg"], named["@fields"]["argument_who"])
    assert ("b'***'", "<class 'str'>") == (raw["msg"], raw["@fields"]["owner"])
    assert "['***', [...]]" == itself["@fields"]["box"]


def test_a_record_without_secrets_is_written_as_it_is() -> None:
    plain = record("hello %s", "you", mine={"a": [1, (2,)]}, exc_info=raised("gone"), stack_info="Stack")
    assert safe_record(plain, with_fields=True) is plain
    remember_secrets("remembered")
    assert safe_record(plain, with_fields=True) is plain
    assert plain.exc_info is not None


@pytest.mark.parametrize("with_fields", [True, False])
def test_odd_records_show_no_secret(with_fields: bool) -> None:
    remember_secrets("remembered")
    wrong = safe_record(record("%d", "remembered"), with_fields=with_fields)
    assert wrong.getMessage().startswith("'%d' with ('***',) (TypeError")
    across = safe_record(record("%s%s", "remem", "bered"), with_fields=with_fields)
    assert "***" == across.getMessage()
    block = safe_record(record(LogBlock("a\nremembered")), with_fields=with_fields)
    assert isinstance(block.msg, LogBlock)
    assert "a\n***" == block.getMessage()
    settled = record("%s", ["remembered"])
    settled.getMessage = lambda: "was remembered"  # type: ignore[method-assign]  # as a buffer does it
    assert "was ***" == safe_record(settled, with_fields=with_fields).getMessage()
    stack = safe_record(record("where", stack_info="of remembered"), with_fields=with_fields)
    assert ("where", "of ***") == (stack.getMessage(), stack.stack_info)
    child = safe_record(record("from a child", exc_text="ValueError: remembered"), with_fields=with_fields)
    assert ("ValueError: ***", None) == (child.exc_text, child.exc_info)


def test_what_a_context_hides_is_hidden_when_the_context_is_left() -> None:
    """The thread writes later: by then the run has ended."""
    find_secrets(here.get)
    stream = StringIO()
    handler = BufferedHandler(log_handler(LogFormat.plain, stream=stream), flush_interval=3600)
    token = here.set({"of this run"})
    handler.handle(record("it is %s", "of this run"))
    here.reset(token)
    handler.handle(record("it is %s", "of this run"))
    handler.close()
    assert ["it is ***", "it is of this run"] == stream.getvalue().splitlines()


def test_syslog_shows_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_secrets("remembered")
    address = str(tmp_path / "log")
    monkeypatch.setattr("mainspring.runtime._log_system.SYSLOG_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        handler = system_handler(LogFormat.syslog, None)
        handler.handle(record("hello %s", "remembered"))
        assert receiver.recv(1000).startswith(b"<14>app: hello ***")
        handler.close()


@pytest.mark.extras
def test_the_journal_shows_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("logging_journald")
    remember_secrets("remembered")
    address = str(tmp_path / "socket")
    monkeypatch.setattr("mainspring.runtime._log_system.JOURNAL_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(address)
        handler = system_handler(LogFormat.journald)
        handler.handle(record("hello %s", "remembered", account="remembered", exc_info=raised("no remembered")))
        sent = journal.recv(100_000)
        handler.close()
    assert b"remembered" not in sent
    assert b"EXTRA_ACCOUNT=***" in sent.splitlines()


@pytest.mark.extras
@pytest.mark.parametrize("log_format", [LogFormat.rich, LogFormat.rich_tb])
def test_rich_shows_stars_also_in_the_place_of_variables(
    log_format: LogFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "120")  # whatever the terminal of the tests has
    stream = StringIO()

    def fails(key: str) -> Any:
        try:
            raise ValueError("refused")
        except ValueError:
            return sys.exc_info()

    remember_secrets("remembered")
    handler = system_handler(log_format, stream=stream)
    handler.handle(record("hello %s", "remembered", exc_info=fails("remembered")))
    assert "hello ***" in stream.getvalue()
    assert "ValueError: refused" in stream.getvalue()
    assert "'remembered'" not in stream.getvalue()


async def test_records_of_worker_processes_show_the_secrets_of_neither_side(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_talk, "speaker", child_talk.speaker)
    monkeypatch.setattr(child_talk, "listen", child_talk.listen)
    hear_children()
    remember_secrets("remembered")
    find_secrets(here.get)
    stream = StringIO()
    basic_config("info", "plain", stream=stream)
    async with WorkerPool(1) as pool:
        here.set({"of this run"})
        await pool.create_task(support_chatty.say, "remembered, of this run", 1)
    basic_config(log_format="disabled", buffered=False)
    assert "***, *** 0" in stream.getvalue()
    assert "remembered" not in stream.getvalue()


class Untellable:
    """A value with a text, but without a `repr`."""

    def __repr__(self) -> str:
        raise OSError("not connected")

    def __str__(self) -> str:
        return "the client"


def test_a_record_with_a_value_without_repr_is_written() -> None:
    remember_secrets("remembered")
    shown = record("%s of %s", Untellable(), "remembered", mine=[Untellable(), "remembered"], huge=10**5_000)
    safe = safe_record(shown, with_fields=True)
    assert "the client of ***" == safe.getMessage()
    assert "***" == vars(safe)["mine"][1]
    assert isinstance(vars(safe)["mine"][0], Untellable)
    inside: list[object] = [Untellable()]
    inside.append(inside)
    assert "remembered" not in str(vars(safe_record(record("in itself", box=inside), with_fields=True))["box"])
    wrong = safe_record(record("%d remembered", Untellable()), with_fields=False)
    assert "'%d ***' with <tuple object at" in wrong.getMessage()


def test_a_table_that_changes_is_written() -> None:
    """As a buffer writes it: later, while its owner goes on."""
    remember_secrets("remembered")
    table: dict[str, object] = {}

    class Meddler:
        def __repr__(self) -> str:
            table[f"other-{len(table)}"] = 1
            return "remembered"

    table.update(one=Meddler(), two="remembered")
    assert {"one": "***", "two": "***"} == vars(safe_record(record("hello", table=table), with_fields=True))["table"]


def test_a_record_that_cannot_be_looked_at_is_an_error_of_its_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(str):
        """A name of a file that cannot be shown."""

        def replace(self, *_: object) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]  # as odd
            raise OSError("not connected")

    remember_secrets("remembered")
    address = str(tmp_path / "log")
    monkeypatch.setattr("mainspring.runtime._log_system.SYSLOG_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        handler = system_handler(LogFormat.syslog, None)
        failed: list[logging.LogRecord] = []
        monkeypatch.setattr(handler, "handleError", failed.append)
        refused = record("hello", stack_info=Refused("stack"))
        handler.handle(refused)
        handler.close()
    assert [refused] == failed
