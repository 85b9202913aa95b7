"""Logging never waits for its sink and never raises; what is lost is counted."""

import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from io import StringIO
from pathlib import Path

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import BufferedHandler, wrap_logging_handler
from mainspring.runtime._log_buffer import BatchStreamHandler
from mainspring.runtime._log_format import LineFormatter

mark: ContextVar[str] = ContextVar("mark", default="none")


class Sink(logging.Handler):
    """Keeps what it gets; can be made to hang in the middle of a record."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open = threading.Event()
        self.entered = threading.Event()
        self.open.set()

    def emit(self, record: logging.LogRecord) -> None:
        self.entered.set()
        self.open.wait(30)
        self.seen.append(f"{record.getMessage()} {mark.get()}")


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Return a sink that is let go in the end."""
    made = Sink()
    yield made
    made.open.set()


def logger_of(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(handler)
    return logger


def test_records_arrive_in_order_with_the_callers_context(sink: Sink) -> None:
    handler = wrap_logging_handler(sink, flush_interval=0.0)
    logger = logger_of(handler)
    token = mark.set("mine")
    logger.info("one %d", 1)
    mark.reset(token)
    logger.info("two")
    assert handler.drain(10)
    assert ["one 1 mine", "two none"] == sink.seen
    handler.close()
    logger.info("lost")
    handler.close()
    assert 2 == len(sink.seen)


class Marked(LineFormatter):
    """Looks at a context variable."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {mark.get()}"


class Marking:
    """A message that does."""

    def __str__(self) -> str:
        return f"message {mark.get()}"


@pytest.mark.parametrize("who", ["formatter", "filter", "message", "nobody"])
def test_lines_are_made_in_the_callers_context_by_whoever_looks_at_it(who: str) -> None:
    stream = StringIO()
    target = BatchStreamHandler(stream)
    target.setFormatter((Marked if who == "formatter" else LineFormatter)("%(message)s"))
    seen: list[str] = []

    def let_through(record: logging.LogRecord) -> bool:
        seen.append(mark.get())
        return True

    if who == "filter":
        target.addFilter(let_through)
    handler = BufferedHandler(target, flush_interval=0.0)
    token = mark.set("mine")
    logger_of(handler).info(Marking() if who == "message" else "message")
    mark.reset(token)
    handler.close()
    expected = {"formatter": "message mine\n", "message": "message mine\n"}
    assert expected.get(who, "message\n") == stream.getvalue()
    assert (["mine"] if who == "filter" else []) == seen


def test_a_filter_of_the_sink_drops_its_records_and_one_that_fails_costs_one_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = StringIO()
    target = BatchStreamHandler(stream)

    def picky(record: logging.LogRecord) -> bool:
        return record.getMessage() != "no" and 1 / record.levelno > 0

    target.addFilter(picky)
    handler = BufferedHandler(target, flush_interval=0.0)
    logger = logger_of(handler)
    logger.setLevel(-1)
    for level, message in ((20, "one"), (20, "no"), (0, "fails"), (20, "two")):
        logger.handle(logger.makeRecord("test", level, __file__, 1, message, (), None))
    handler.close()
    assert "one\ntwo\n" == stream.getvalue()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_hanging_sink_delays_nobody_and_drops_are_counted_and_reported(
    sink: Sink, mainspring_count: Callable[[int, int], int]
) -> None:
    handler = BufferedHandler(sink, buffer_size=100, flush_interval=0.0)
    logger = logger_of(handler)
    sink.open.clear()
    logger.info("first")
    assert sink.entered.wait(10)
    count = mainspring_count(10_000, 100_000)
    for number in range(count):
        logger.info("record %d", number)
    assert count - 100 == handler.dropped_count
    assert not handler.drain(0.0)
    sink.open.set()
    assert handler.drain(10)
    assert f"record {count - 1} none" == sink.seen[-2]
    assert f"{count - 100} log records were dropped: the buffer of 100 was full none" == sink.seen[-1]
    assert 0 == handler.statistic.errors
    handler.close()


def test_drop_debug_keeps_what_weighs_more(sink: Sink) -> None:
    handler = BufferedHandler(sink, buffer_size=2, flush_interval=0.0, policy="drop-debug")
    logger = logger_of(handler)
    sink.open.clear()
    logger.info("first")
    assert sink.entered.wait(10)
    logger.info("one")
    logger.info("two")
    logger.debug("dropped")
    logger.error("three")
    sink.open.set()
    assert handler.drain(10)
    assert ["first none", "two none", "three none"] == sink.seen[:3]
    assert 2 == handler.dropped_count
    handler.close()


def test_block_waits_for_room(sink: Sink) -> None:
    handler = BufferedHandler(sink, buffer_size=2, flush_interval=0.0, policy="block")
    logger = logger_of(handler)
    for number in range(50):
        logger.info("%d", number)
    assert handler.drain(10)
    assert [f"{number} none" for number in range(50)] == sink.seen
    assert 0 == handler.dropped_count
    handler.close()


def test_mutable_arguments_are_read_at_the_call(sink: Sink) -> None:
    handler = BufferedHandler(sink, flush_interval=0.0)
    logger = logger_of(handler)
    values = [1]
    sink.open.clear()
    logger.info("values %s", values)
    logger.info("again %s", values)
    values.append(2)
    sink.open.set()
    assert handler.drain(10)
    assert ["values [1] none", "again [1] none"] == sink.seen
    handler.close()


def test_mutable_messages_are_read_at_the_call(sink: Sink) -> None:
    handler = BufferedHandler(sink, flush_interval=0.0)
    logger = logger_of(handler)
    values = {"a": 1}
    sink.open.clear()
    logger.info(values)
    values["b"] = 2
    sink.open.set()
    assert handler.drain(10)
    assert ["{'a': 1} none"] == sink.seen
    handler.close()


@pytest.mark.parametrize("standard", [True, False])
def test_a_sign_that_cannot_be_written_costs_no_record(
    standard: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as stream:
        if standard:
            monkeypatch.setattr(sys, "__stderr__", stream)
        handler = BufferedHandler(BatchStreamHandler(stream), flush_interval=0.0)
        logger = logger_of(handler)
        for message in ("before", "half \ud800 ä", "after"):
            logger.info(message)
        handler.close()
    assert "before\nhalf \\ud800 \\xe4\nafter\n" == path.read_text(encoding="ascii")


def test_a_broken_message_filter_or_sink_raises_nothing(sink: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("disk")

    handler = BufferedHandler(Broken(), flush_interval=0.0)
    logger = logger_of(handler)
    logger.info("to a broken sink")
    assert handler.drain(10)
    assert 1 == handler.statistic.errors

    def fail(record: logging.LogRecord) -> bool:
        raise KeyError("filter")

    handler.addFilter(fail)
    logger.info("through a broken filter")
    assert 2 == handler.statistic.errors
    handler.close()

    stream = StringIO()
    batching = BatchStreamHandler(stream)
    batching.addFilter(lambda record: record.levelno > logging.DEBUG)
    handler = BufferedHandler(batching, flush_interval=0.0)
    logger = logger_of(handler)
    logger.info("%d", [])
    logger.debug("filtered")
    logger.info("good")
    handler.flush()
    assert "good\n" == stream.getvalue()
    assert "Logging error" in capsys.readouterr().err
    handler.close()


def test_a_record_that_a_sink_refuses_costs_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    class Choosy(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())  # raises, as that of rich does

    handler = BufferedHandler(Choosy(), flush_interval=10.0)
    logger = logger_of(handler)
    for template in ("%s is written", "%d is not", "%s is, too"):
        logger.info(template, "this")
    assert handler.drain(10)
    assert ["this is written", "this is, too"] == seen
    assert 1 == handler.statistic.errors
    assert "%d is not" in capsys.readouterr().err
    handler.close()


def test_a_filter_of_the_buffer_decides_at_the_call(sink: Sink) -> None:
    handler = BufferedHandler(sink, flush_interval=0.0)
    handler.addFilter(lambda record: "no" not in record.msg)
    logger = logger_of(handler)
    logger.info("no")
    assert handler.drain(0)
    logger.info("yes")
    assert handler.drain(10)
    assert ["yes none"] == sink.seen
    handler.close()


def test_a_forked_child_has_its_own_buffer_and_thread(sink: Sink) -> None:
    handler = BufferedHandler(sink, flush_interval=0.0)
    logger = logger_of(handler)
    logger.info("parent")
    assert handler.drain(10)
    handler.stop()
    handler = BufferedHandler(sink, flush_interval=0.0)
    logger.addHandler(handler)
    handler.forget()  # what a forked child does, before any thread was there
    logger.info("child")
    assert handler.drain(10)
    assert ["parent none", "child none"] == sink.seen
    handler.close()


def test_block_gives_up_on_a_sink_that_hangs(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.runtime._log_buffer._MAX_BLOCK", 0.01)
    handler = BufferedHandler(sink, buffer_size=1, flush_interval=0.0, policy="block")
    logger = logger_of(handler)
    sink.open.clear()
    logger.info("first")
    assert sink.entered.wait(10)
    logger.info("second")
    logger.info("third")
    assert 1 == handler.dropped_count
    sink.open.set()
    assert handler.drain(10)
    assert ["first none", "third none"] == sink.seen[:2]
    handler.close()


@pytest.mark.parametrize(
    "argument", [{"buffer_size": 0}, {"flush_interval": -1.0}, {"flush_interval": math.nan}, {"policy": "panic"}]
)
def test_arguments_are_checked(argument: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(argument))):
        BufferedHandler(logging.NullHandler(), **argument)  # type: ignore[arg-type]  # pyright: ignore


def test_a_thread_that_is_faster_than_a_caller_that_drops_is_no_error(sink: Sink) -> None:
    handler = BufferedHandler(sink, buffer_size=1, flush_interval=0.0)
    handler.start()
    handler._queue.clear()
    assert handler._make_room(logging.INFO)
    assert 1 == handler.dropped_count
    assert handler.stop(30)
    assert handler.stop(30)


def test_who_has_waited_in_vain_once_does_not_wait_again(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.runtime._log_buffer._MAX_FLUSH", 0.01)
    handler = BufferedHandler(sink, flush_interval=0.0)
    sink.open.clear()
    logger_of(handler).info("held up")
    handler.flush()
    monkeypatch.setattr("mainspring.runtime._log_buffer._MAX_FLUSH", 3600.0)
    handler.flush()
    handler.close()
    assert [] == sink.seen
    sink.open.set()


@pytest.mark.parametrize("blocking", [True, False])
def test_a_standard_stream_gets_everything_whatever_its_descriptor_is(
    blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, blocking)
    with os.fdopen(read_end) as reader, os.fdopen(write_end, "w", encoding="utf-8") as writer:
        monkeypatch.setattr(sys, "__stderr__", writer)
        handler = BufferedHandler(BatchStreamHandler(writer), buffer_size=10_000, flush_interval=0.0)
        logger = logger_of(handler)
        for number in range(2_000):  # more than a pipe holds
            logger.info("record %d ä %s", number, "x" * 100)
        lines = [reader.readline() for _ in range(2_000)]
        assert [f"record {number} ä {'x' * 100}\n" for number in range(2_000)] == lines
        handler.close()
