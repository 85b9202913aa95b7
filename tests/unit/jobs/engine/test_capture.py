"""What a run logs is in its record: its own lines and nobody else's, within bounds, whoever configured logging."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from contextvars import copy_context
from io import StringIO
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Struct
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.base import from_us
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.dataflow import Dataflow, Process, Runner
from mainspring.jobs import SECRET, JobApp, JobContext, RunInfo, RunLog
from mainspring.jobs.engine._capture import MAX_BYTES, MAX_LINES, LogTail, RunLogger
from mainspring.jobs.engine._configs import JobConfigs
from mainspring.resilience import Backoff
from mainspring.runtime import LogFormat, basic_config, log_handler
from mainspring.tools import is_secret
from mainspring.tools._credential import make_credential

library = logging.getLogger("a_library")


async def lines_of(app: JobApp, run_id: str) -> list[tuple[int, str, str]]:
    """Return (attempt, level, message) of all that a run logged."""
    async with app.reading() as reader:
        logs = await reader.logs(run_id)
    return [(attempt, line.level, line.message) for attempt, log in logs for line in log.lines]


def record(message: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("test", level, __file__, 1, message, args, None)


def log_of(tail: LogTail) -> RunLog:
    log = tail.log()
    assert log is not None
    return log


def in_worker(ctx: RunInfo) -> str:
    ctx.log.warning("from worker %s", ctx.job_id)
    logging.getLogger("in_worker").error("a library in a worker")
    return "done"


def cpu_step(number: int) -> int:
    logging.getLogger("in_worker").warning("step %d", number)
    return number


async def test_every_run_keeps_its_own_lines(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    meet = asyncio.Barrier(2)

    @app.job("talk")
    async def talk(ctx: JobContext, config: dict[str, str]) -> None:
        ctx.log.info("I am %s", config["name"])
        await meet.wait()
        library.warning("%s calls a library", config["name"])
        await asyncio.to_thread(library.warning, "%s in a thread", config["name"])
        await asyncio.create_task(later(ctx))

    async def later(ctx: JobContext) -> None:
        ctx.log.debug("nobody wants to hear this")
        library.warning("a task of %s", ctx.config["name"])

    async with running(app):
        results = await asyncio.gather(*(app.run_job(talk, {"name": name}) for name in ("Ann", "Bob")))
        for name, result in zip(("Ann", "Bob"), results, strict=True):
            expected = [
                (1, "info", f"I am {name}"),
                (1, "warning", f"{name} calls a library"),
                (1, "warning", f"{name} in a thread"),
                (1, "warning", f"a task of {name}"),
            ]
            assert expected == await lines_of(app, result.run_id)


async def test_lines_of_worker_processes_belong_to_their_run(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.job("whole", executor="process")(in_worker)

    @app.job("steps")
    async def steps(ctx: JobContext) -> None:
        await asyncio.gather(ctx.cpu(cpu_step, 1), ctx.cpu(cpu_step, 2))

    async with running(app):
        whole, parts = await app.run_job("whole"), await app.run_job(steps)
        said = await lines_of(app, whole.run_id)
        in_steps = await lines_of(app, parts.run_id)
    assert [(1, "warning", "from worker whole"), (1, "error", "a library in a worker")] == said
    assert [(1, "warning", "step 1"), (1, "warning", "step 2")] == sorted(in_steps)


def three(p: Process) -> Iterator[int]:
    yield from range(p.acknowledged, 3)


def note(p: Process, number: int) -> None:
    logging.getLogger("in_stage").warning("stage %d got %d", p.level, number)


async def test_lines_of_the_stages_of_a_dataflow_belong_to_the_run_that_started_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("flow")
    async def flow() -> None:
        async with Dataflow("flow", [Runner(three), Runner(note)], start_method="forkserver") as started:
            await started.wait()

    async with running(app):
        said = await lines_of(app, (await app.run_job("flow")).run_id)
    assert [(1, "warning", f"stage 1 got {number}") for number in range(3)] == said


async def test_attempts_are_kept_apart_and_the_last_line_is_the_handlers(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("second_time", retry=Backoff.constant(0.001, max_tries=2))
    async def second_time(ctx: JobContext) -> None:
        ctx.log.info("begin")
        if ctx.attempt == 1:
            try:
                raise ValueError("not yet")
            except ValueError:
                ctx.log.exception("failed")
                raise

    async with running(app):
        result = await app.run_job(second_time)
        lines = await lines_of(app, result.run_id)
    assert [(1, "info"), (1, "error"), (2, "info")] == [(attempt, level) for attempt, level, _ in lines]
    assert lines[1][2].startswith("failed\nTraceback")
    assert "ValueError: not yet" in lines[1][2]


async def test_a_new_configuration_of_logging_does_not_end_the_capture(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("talk")
    async def talk() -> None:
        library.warning("still heard")

    async with running(app):
        basic_config("error", "disabled", buffered=False)
        assert await lines_of(app, (await app.run_job(talk)).run_id) == []  # the configuration lets no warning pass
        basic_config("info", "disabled", buffered=False)
        assert [(1, "warning", "still heard")] == await lines_of(app, (await app.run_job(talk)).run_id)


async def test_without_any_handler_warnings_are_printed_as_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    kept, root.handlers = root.handlers, []
    try:
        async with running(make_app(tmp_path)):
            library.info("unheard")
            library.warning("printed")
            root.addHandler(logging.NullHandler())
            library.warning("somebody hears it")
        assert 1 == len(root.handlers)
    finally:
        root.handlers = kept
    assert "printed\n" == capsys.readouterr().err


async def test_the_handler_is_there_while_an_app_is_open_only(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    first, second = JobApp("a", store="memory"), JobApp("b", store="memory")
    async with running(first), running(second):
        assert 1 == len(logging.getLogger().handlers) - len(before)
    assert before == logging.getLogger().handlers


def test_too_many_lines_lose_those_between_the_first_and_the_newest() -> None:
    tail = LogTail()
    assert tail.encoded() is None
    for number in range(MAX_LINES + 500):
        tail.take(record("line %d", number))
    log = log_of(tail)
    assert MAX_LINES == len(log.lines)
    assert (500, 100) == (log.dropped_count, log.first_count)
    assert ["line 0", "line 99", "line 600"] == [log.lines[place].message for place in (0, 99, 100)]
    assert f"line {MAX_LINES + 499}" == log.lines[-1].message


def test_large_lines_are_cut_and_all_together_are_bounded() -> None:
    tail = LogTail()
    for number in range(50):
        tail.take(record(f"{number}:" + "x" * 100_000 + "end"))
    log = log_of(tail)
    assert sum(len(line.message) for line in log.lines) <= MAX_BYTES
    assert log.lines[0].message.startswith("0:x")
    assert log.lines[-1].message.startswith("49:x")
    assert log.lines[-1].message.endswith("xend")
    assert 50 == len(log.lines) + log.dropped_count


class Untellable:
    """A value without a `repr`."""

    def __repr__(self) -> str:
        raise OSError("not connected")


def test_odd_records_become_lines_all_the_same() -> None:
    tail = LogTail()
    tail.take(record("%d", "no number"))
    tail.take(record("odd name \udcff"))
    tail.take(record("%r", Untellable()))
    stack = record("where")
    stack.stack_info = "Stack (most recent call last)"
    tail.take(stack)
    log = log_of(tail)
    assert "'%d' with ('no number',) (TypeError" in log.lines[0].message
    assert "'%r' with <tuple object at" in log.lines[2].message
    assert ["odd name \\udcff", "where\nStack (most recent call last)"] == [log.lines[n].message for n in (1, 3)]
    assert from_us(log.lines[0].at).tzinfo is not None


@pytest.mark.parametrize("level", [logging.INFO, logging.CRITICAL])
def test_a_bound_logger_keeps_what_the_configuration_does_not_want(
    level: int, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("bound")
    caplog.set_level(level, logger="bound")
    tail = LogTail()
    bound = RunLogger(logger, {"run_id": "r1"}, tail)
    bound.debug("dropped")
    bound.info("kept", extra={"mine": 1})
    error = ValueError("given")
    bound.info("with %s", "error", exc_info=error)
    try:
        raise OSError("raised")
    except OSError:
        bound.info("caught", exc_info=True)
    if level == logging.INFO:  # the handlers hear it, with the ids, the caller's own fields and the caller's place
        (first, *_) = caplog.records
        assert ("r1", 1, "test_capture.py") == (vars(first)["run_id"], vars(first)["mine"], first.filename)
        assert tail.log() is None  # no app is open, so nothing hears for the run
    else:
        messages = [line.message for line in log_of(tail).lines]
        assert "kept" == messages[0]
        assert messages[1].startswith("with error\n")
        assert "ValueError: given" in messages[1]
        assert "OSError: raised" in messages[2]
    assert sys.exc_info() == (None, None, None)


async def test_no_secret_comes_into_a_record(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    make_credential({"key": "account-key", "secret": "account-secret"}, ["key"], ["secret"], where="a test")

    @app.job("leaky", config={"api_key": "key-of-the-api", "host": "db.example"})
    async def leaky(ctx: JobContext) -> None:
        ctx.log.info("asking %s with %s", ctx.config["host"], ctx.config["api_key"])
        ctx.log.info("as account-key at postgres://me:password@db.example/x")
        raise ValueError(f"refused {ctx.config['api_key']} of account-secret")

    async with running(app):
        result = await app.run_job(leaky)
        said = [message for _, _, message in await lines_of(app, result.run_id)]
        record = await app.run(result.run_id)
    assert ["asking db.example with ***", "as *** at postgres://me:***@db.example/x"] == said
    assert "ValueError: refused *** of ***" == result.error
    assert record is not None
    assert "ValueError: refused *** of ***" in (record.error_detail or "")


async def test_a_secret_that_is_written_in_json_is_hidden_alike_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the error, the lines of the run and what is printed; so is the password in an address of the config."""
    app, root = make_app(tmp_path), logging.getLogger()
    kept, root.handlers = root.handlers, []
    config = {"password": 'qu"ote\nand line', "token": "p\xe4ssw\xf6rd", "url": "https://me:hidden-too@db/x"}

    @app.job("leaky", config=config)
    async def leaky(ctx: JobContext) -> None:
        library.warning("with %s", json.dumps(ctx.config))
        raise ValueError(json.dumps(ctx.config))

    try:
        async with running(app):
            result = await app.run_job(leaky)
            said = await lines_of(app, result.run_id)
    finally:
        root.handlers = kept
    stars = '{"password": "***", "token": "***", "url": "https://me:***@db/x"}'
    assert f"ValueError: {stars}" == result.error
    assert f"with {stars}" == said[0][2]
    assert f"with {stars}" in capsys.readouterr().err


async def test_threads_are_heard_that_carry_the_context_of_the_run(tmp_path: Path) -> None:
    """Those of asyncio and of the house do; any other is given one, or is not heard."""
    app = make_app(tmp_path)

    def plain_threads() -> None:
        with futures.ThreadPoolExecutor(1) as pool:
            pool.submit(library.warning, "a plain pool").result()
            pool.submit(copy_context().run, library.warning, "a pool with the context").result()
        for thread in (
            threading.Thread(target=library.warning, args=("a plain thread",)),
            threading.Thread(target=copy_context().run, args=(library.warning, "a thread with the context")),
        ):
            thread.start()
            thread.join()

    @app.job("threads")
    async def threads() -> None:
        await asyncio.to_thread(library.warning, "to_thread")
        with ThreadPoolExecutor(1) as pool:
            await pool.run(library.warning, "a pool of the house")
        await asyncio.to_thread(plain_threads)

    async with running(app):
        result = await app.run_job(threads)
        said = [message for _, _, message in await lines_of(app, result.run_id)]
    assert ["to_thread", "a pool of the house", "a pool with the context", "a thread with the context"] == said


class Marked(Struct):
    pin: Annotated[str, SECRET]
    host: str


def with_a_secret(ctx: RunInfo) -> None:
    ctx.log.warning("worker: %s", ctx.config["api_key"])


async def test_no_secret_of_a_run_comes_into_the_logs_of_the_program(tmp_path: Path) -> None:
    """Neither what `ctx.log` says nor any other logger, in any thread or process, and however late it is written."""
    app, root, stream = make_app(tmp_path), logging.getLogger(), StringIO()
    kept, level, hook = list(root.handlers), root.level, sys.excepthook
    config = {"api_key": "key-of-the-api", "host": "db.example"}
    app.job("worker", executor="process", config=config)(with_a_secret)

    @app.job("leaky", config=config)
    async def leaky(ctx: JobContext) -> None:
        key = ctx.config.pop("api_key")
        ctx.log.info("mine: %s at %s", key, ctx.config["host"])
        library.warning("a library: %s", key)
        await asyncio.to_thread(library.warning, "a thread: %s", key)
        try:
            raise ValueError(f"raised {key}")
        except ValueError:
            library.exception("caught")

    @app.job("bare", config=config)
    async def bare() -> None:
        library.warning("bare: key-of-the-api")

    @app.job("marked", config={"pin": "1234567", "host": "db.example"}, schema=Marked)
    async def marked(config: Marked) -> None:
        library.warning("marked: %s", config)

    basic_config("info", "stream", stream=stream, flush_interval=3600)  # all of it is written when no run is left
    try:
        async with running(app):
            for job in ("leaky", "bare", "marked", "worker"):
                assert (await app.run_job(job)).ok
        library.warning("no run: key-of-the-api")
        basic_config(log_format="disabled", buffered=False)
    finally:
        root.handlers[:], sys.excepthook = kept, hook
        root.setLevel(level)
    said = [line for line in stream.getvalue().splitlines() if "key-of-the-api" in line or "***" in line]
    assert "WARNING:a_library:no run: key-of-the-api" == said.pop()
    assert [
        "mine: *** at db.example",
        "a library: ***",
        "a thread: ***",
        "ValueError: raised ***",
        "bare: ***",
        "marked: Marked(pin='***', host='db.example')",
        "worker: ***",
    ] == [line.split(":", 2)[-1] if line.startswith(("INFO", "WARNING")) else line for line in said]


async def test_what_is_printed_without_any_handler_shows_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, app = logging.getLogger(), make_app(tmp_path)
    kept, root.handlers = root.handlers, []

    @app.job("leaky", config={"api_key": "key-of-the-api"})
    async def leaky(ctx: JobContext) -> None:
        library.warning("printed %s", ctx.config["api_key"])

    try:
        async with running(app):
            await app.run_job(leaky)
    finally:
        root.handlers = kept
    assert "printed ***\n" == capsys.readouterr().err


class Meddler:
    """A text that changes its table when it is asked for, as a thread may."""

    def __init__(self, table: dict[str, object]) -> None:
        self.table = table

    def __str__(self) -> str:
        self.table[f"other-{len(self.table)}"] = 1
        return "another-token"


async def test_a_run_whose_config_cannot_be_read_in_peace_is_recorded(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("changes", config={"n": {"token": "the-token"}})
    async def changes(ctx: JobContext) -> None:
        table: dict[str, object] = {"other": "more"}
        table["token"] = Meddler(table)
        ctx.config["n"] = table
        ctx.log.info("the-token, another-token")

    @app.job("itself", config={"n": {"token": "the-token"}})
    async def itself(ctx: JobContext) -> None:
        table: dict[str, object] = {"token": "another-token"}
        table["me"] = table
        ctx.config["n"] = [table, ctx.config["n"]]
        ctx.log.info("the-token, another-token")

    @app.job("none", config={"n": {"token": "the-token"}})
    async def none(ctx: JobContext) -> None:
        ctx.config = None  # type: ignore[assignment]  # as code without types may
        ctx.log.info("the-token")

    async with running(app):
        results = [await app.run_job(job) for job in ("changes", "itself", "none")]
        said = [await lines_of(app, result.run_id) for result in results]
    assert [True, True, True] == [result.ok for result in results]
    assert ["***, ***", "***, ***", "***"] == [message for ((_, _, message),) in said]


async def test_a_log_call_does_not_meet_what_fails_in_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler without a context has its config looked for by its first log line."""
    app, stream = make_app(tmp_path), StringIO()
    handler = log_handler(LogFormat.plain, stream=stream)

    def fails(*_: object) -> dict[str, object]:
        raise OSError("no settings")

    @app.job("bare")
    async def bare() -> str:
        monkeypatch.setattr(JobConfigs, "plain", fails)
        handler.handle(record("hello"))
        library.warning("hello")
        return "done"

    async with running(app):
        assert "done" == (await app.run_job("bare")).value
    assert stream.getvalue().endswith("hello\n")


def test_what_was_secret_stays_it_when_the_config_changes() -> None:
    tail = LogTail()
    assert not tail.secrets()
    assert not tail.conceals
    config: dict[str, object] = {"token": "first-token"}
    tail.conceal(config, is_secret)
    config["token"] = "second-token"
    tail.conceal(config, is_secret)
    assert {"first-token", "second-token"} == set(tail.secrets())
    assert tail.conceals
