"""Records of worker processes come to the parent's loggers, whole, in order and in the context of the caller."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from io import StringIO
from typing import Any

import pytest
from tests.unit.runtime import support_chatty

from mainspring.base import child_talk
from mainspring.concurrency import WorkerPool
from mainspring.runtime import entrypoint
from mainspring.runtime._log_child import ChildLogs, _Sender, handle_records, hear_children
from mainspring.runtime._log_format import LineFormatter
from mainspring.runtime._log_json import JsonFormatter

run_id: ContextVar[str] = ContextVar("run_id", default="none")


class Kept(logging.Handler):
    """Keeps records, and the run in whose context each came."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.runs: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.runs.append(run_id.get())


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Listen to what workers say, at level INFO."""
    monkeypatch.setattr(child_talk, "speaker", child_talk.speaker)
    monkeypatch.setattr(child_talk, "listen", child_talk.listen)
    handler, root = Kept(), logging.getLogger()
    handler.addFilter(lambda record: not record.name.startswith("asyncio"))  # what the collector finds elsewhere
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    hear_children()
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
async def test_records_arrive_before_the_answer_in_the_context_of_the_caller(start_method: str, kept: Kept) -> None:
    async def step(pool: WorkerPool, name: str) -> int:
        run_id.set(name)
        process = await pool.create_task(support_chatty.say, name, 20)
        assert [f"{name} {number}" for number in range(20)] == [
            one.getMessage() for one in kept.records if one.getMessage().startswith(name)
        ]
        return process

    async with WorkerPool(2, start_method=start_method) as pool:
        processes = await asyncio.gather(*(step(pool, f"run-{number}") for number in range(6)))
    assert 120 == len(kept.records)
    for record, run in zip(kept.records, kept.runs, strict=True):
        assert run == record.getMessage().split()[0]
        assert ("chatty", "say", logging.INFO) == (record.name, record.funcName, record.levelno)
        assert record.process in processes
        assert os.getpid() != record.process
        assert ("<class 'object'>", int(record.getMessage().split()[1])) == (
            vars(record)["thing"],
            vars(record)["step"],
        )


async def test_tracebacks_and_bad_messages_travel_as_text(kept: Kept) -> None:
    async with WorkerPool(1) as pool:
        await pool.create_task(support_chatty.fail)
    failed, bad, named, error = kept.records
    for _ in range(2):
        text = LineFormatter("%(message)s").format(failed)
        assert "failed [1]\nTraceback (most recent call last):" in text
        assert "ValueError: \\x1b[2Jgone" in text
        assert "Stack (most recent call last):" in text
    assert "ValueError: \x1b[2Jgone" in json.loads(JsonFormatter().format(failed))["stackTrace"]
    assert "'%d' with ('no number',) (TypeError:" in bad.getMessage()
    assert ("1", "'an error'") == (named.getMessage(), error.getMessage())


def test_a_program_that_configures_no_logging_hears_its_children_too(kept: Kept) -> None:
    child_talk.speaker = lambda: None
    entrypoint(log_config=False)
    assert ChildLogs(logging.INFO) == child_talk.speaker()


def test_levels_of_the_parents_loggers_decide_and_a_broken_filter_cuts_nothing_off(
    kept: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def payload(name: str) -> bytes:
        return json.dumps([{"name": name, "msg": "%s", "args": ["x"], "levelno": 30, "levelname": "WARNING"}]).encode()

    logging.getLogger("too.quiet").setLevel(logging.ERROR)
    handle_records(payload("too.quiet"))
    handle_records(payload("heard"))
    assert ["heard"] == [one.name for one in kept.records]

    def broken(record: logging.LogRecord) -> bool:
        raise KeyError("filter")

    monkeypatch.setattr(logging.getLogger("broken"), "filters", [broken])
    handle_records(payload("broken"))
    assert "KeyError: 'filter'" in capsys.readouterr().err
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handle_records(payload("broken"))
    assert "" == capsys.readouterr().err


def test_a_child_sends_batches_and_flushes_only_what_is_new() -> None:
    """Here, in one process: what the child's side does."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    sent: list[list[dict[str, Any]]] = []
    root.addHandler(inherited := logging.StreamHandler(StringIO()))
    try:
        flush = ChildLogs(logging.WARNING)(lambda payload: sent.append(json.loads(payload)))
        assert inherited not in root.handlers
        (handler,) = root.handlers
        logging.warning("one")
        logging.info("below the level")
        logging.warning("two %s", object)
        flush()
        assert ["one", "two <class 'object'>"] == [each["msg"] for batch in sent for each in batch]
        count = len(sent)
        flush()
        assert count == len(sent)
        support_chatty.fail()
        flush()
        failed, bad, named, error = (each for batch in sent[count:] for each in batch)
        assert "ValueError" in failed["exc_text"]
        assert "Stack" in failed["stack_info"]
        assert ["failed [1]", "1", "'an error'"] == [each["msg"] for each in (failed, named, error)]
        assert "TypeError" in bad["msg"]
        handler.close()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def sent_by(*records: logging.LogRecord) -> list[bytes]:
    """Return what a child sends of one batch."""
    payloads: list[bytes] = []
    _Sender(payloads.append).write_batch([(record, copy_context()) for record in records])
    return payloads


def test_a_long_batch_travels_in_parts_and_in_order(kept: Kept) -> None:
    def record(number: int) -> logging.LogRecord:
        return logging.makeLogRecord({"name": "long", "levelno": 30, "msg": "%d %s", "args": (number, "ä" * 50_000)})

    payloads = sent_by(*map(record, range(5)))
    assert 1 < len(payloads) < 5
    assert all(len(payload) < 1 << 21 for payload in payloads)
    for payload in payloads:
        handle_records(payload)
    assert [f"{number} {'ä' * 50_000}" for number in range(5)] == [one.getMessage() for one in kept.records]


def test_a_record_that_is_too_long_for_a_frame_is_cut(kept: Kept) -> None:
    """The parent takes no longer frame, and would hear the child no more."""
    fields: dict[str, object] = {
        "name": "long",
        "levelno": 30,
        "msg": "%s and %d",
        "args": ("x" * (20 << 20), 7),
        "added": "y" * 100,
    }
    try:
        raise ValueError("z" * (20 << 20))
    except ValueError:
        fields["exc_info"] = sys.exc_info()
    (payload,) = sent_by(logging.makeLogRecord(fields))
    assert len(payload) < 1 << 20
    handle_records(payload)
    (record,) = kept.records
    assert record.getMessage().startswith("xxx")
    assert record.getMessage().endswith(f"... ({(20 << 20) + 6} characters)")
    assert "ValueError: zzz" in str(record.exc_text)
    assert not hasattr(record, "added")


def test_a_record_that_cannot_travel_says_so_and_costs_no_other(kept: Kept) -> None:
    class Rude:
        def __repr__(self) -> str:
            raise KeyError("no")

    plain = {"name": "rude", "levelno": 30, "levelname": "WARNING"}
    payloads = sent_by(
        logging.makeLogRecord({**plain, "msg": "before"}),
        logging.makeLogRecord({**plain, "msg": "rude", "thing": Rude()}),
        logging.makeLogRecord({**plain, "msg": "after"}),
    )
    for payload in payloads:
        handle_records(payload)
    said = [(one.name, one.levelno, one.getMessage()) for one in kept.records]
    assert [
        ("rude", 30, "before"),
        ("rude", 30, "a log record could not travel: KeyError"),
        ("rude", 30, "after"),
    ] == said
