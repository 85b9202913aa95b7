"""Starting and stopping: order, failures, bounds, nesting; on a loop of its own and on a running one."""

import asyncio
import json
import logging
import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.runtime.support_services import Failing, Noted, Working, quiet

from mainspring.errors import (
    InvalidArgumentError,
    MisuseError,
    NoEntrypointError,
    ShutdownTimeoutError,
)
from mainspring.runtime import BufferedHandler, Service, entrypoint, get_context, run


@pytest.fixture(autouse=True)
def _asyncio_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loop of libuv leaves a pipe open in the process."""
    monkeypatch.setenv("MAINSPRING_USE_UVLOOP", "0")


def test_the_block_runs_when_all_have_started_and_stop_comes_before_cancellation() -> None:
    log: list[str] = []
    with quiet(Working(log=log, label="a"), Noted(log=log, label="b")) as loop:
        log.append("block")
        assert not loop.is_closed()
    assert loop.is_closed()
    assert ["a starts", "b starts", "block"] == log[:3]
    assert {"a stops NoneType", "b stops NoneType"} == set(log[3:5])
    assert ["a is cancelled"] == log[5:]


async def test_on_a_running_loop_the_loop_and_foreign_tasks_stay() -> None:
    log: list[str] = []
    foreign = asyncio.create_task(asyncio.Event().wait())
    async with quiet(Working(log=log)) as program:
        assert program is entrypoint.get_current()
        assert asyncio.get_running_loop() is program.loop
        assert 1 == len(program.services)
    assert "service is cancelled" == log[-1]
    assert not foreign.done()
    foreign.cancel()
    with pytest.raises(NoEntrypointError):
        entrypoint.get_current()


async def test_signals_and_events_come_in_order() -> None:
    log: list[str] = []
    program = quiet(Working(log=log))

    def note(name: str) -> Any:
        async def receiver(entrypoint: object, services: tuple[Service, ...]) -> None:
            assert entrypoint is program
            log.append(f"{name} {len(services)}")

        return receiver

    for name in ("pre_start", "post_start", "pre_stop", "post_stop"):
        getattr(program, name).connect(note(name))
    async with program:
        assert program.pre_start.is_frozen
        closing = asyncio.create_task(program.closing())
        await asyncio.sleep(0)
        assert not closing.done()
    await closing
    expected = ["pre_start 1", "service starts", "post_start 1", "pre_stop 1"]
    assert [*expected, "service stops NoneType", "service is cancelled", "post_stop 1"] == log


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_when_one_fails_to_start_the_others_are_stopped(mode: str) -> None:
    log: list[str] = []
    services = Noted(log=log, label="good"), Working(log=log, label="work"), Failing(log=log, label="bad")

    async def enter() -> None:
        async with quiet(*services):
            log.append("block")

    def enter_sync() -> None:
        with quiet(*services):
            log.append("block")

    with pytest.raises(ValueError, match="bad"):
        asyncio.run(enter()) if mode == "async" else enter_sync()
    assert "block" not in log
    assert {"good stops ValueError", "work stops ValueError", "work is cancelled"} <= set(log)
    assert "bad stops ValueError" not in log


def test_several_failures_to_start_and_stop_come_together() -> None:
    class BadStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            raise OSError("stop")

    with (
        pytest.raises(ExceptionGroup) as caught,
        quiet(Failing(log=[], label="1"), Failing(log=[], label="2"), BadStop(log=[])),
    ):
        raise NotImplementedError
    kinds = [type(one) for one in _leaves(caught.value)]
    assert [ValueError, ValueError, OSError] == kinds


def _leaves(error: BaseException) -> list[BaseException]:
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return [leaf for one in inner for leaf in _leaves(one)] or [error]


def test_a_start_that_waits_is_stopped_and_cancelled_when_another_fails() -> None:
    log: list[str] = []

    class Slow(Noted):
        async def start(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                log.append("slow is cancelled")

        async def stop(self, exception: BaseException | None = None) -> None:
            raise AttributeError("what start() would have made")

    with pytest.raises(ValueError, match="bad"), quiet(Slow(log=log), Failing(log=log, label="bad")):
        raise NotImplementedError
    assert ["slow is cancelled"] == log


@pytest.mark.parametrize("error", [OSError("stop"), SystemExit("stop")])
def test_one_failing_stop_does_not_keep_the_others_from_stopping(error: BaseException) -> None:
    log: list[str] = []

    class BadStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            raise error

    class SlowStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            log.append("slow stopped")

    with pytest.raises(type(error), match="stop"), quiet(BadStop(log=log), SlowStop(log=log)):
        pass
    assert "slow stopped" in log


def test_errors_of_the_block_and_of_stop_come_together_and_alone_as_they_are() -> None:
    class BadStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            raise OSError("stop")

    log: list[str] = []
    with pytest.raises(KeyError), quiet(Noted(log=log)):
        raise KeyError("mine")
    assert "service stops KeyError" == log[-1]
    with pytest.raises(ExceptionGroup) as caught, quiet(BadStop(log=[])):
        raise KeyError("mine")
    assert [KeyError, OSError] == [type(one) for one in caught.value.exceptions]


@pytest.mark.parametrize("obedient", [True, False])
def test_a_hanging_stop_is_bounded(obedient: bool) -> None:
    class Hangs(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if obedient or self.label == "give in":
                        raise

    service = Hangs(log=[])
    with pytest.raises(ShutdownTimeoutError, match=r"within 0.05 s; still there: .*Hangs"):
        asyncio.run(_enter_and_leave(service, shutdown_timeout=0.05))


async def _enter_and_leave(service: Any, **options: Any) -> None:
    try:
        async with quiet(service, **options):
            pass
    finally:
        service.label = "give in"


async def test_a_failing_reload_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(entrypoint: object) -> None:
        raise KeyError("reload")

    program = quiet()
    program.reload.connect(fail)
    async with program:
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(5):
            await asyncio.sleep(0)
    assert "reload failed" in caplog.text


def test_other_tasks_are_cancelled_after_the_services_on_a_loop_of_its_own() -> None:
    log: list[str] = []

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("other task ends")

    async def main() -> None:
        tasks.append(asyncio.create_task(other()))
        log.append(f"main {tasks[0].done()}")
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    run(main(), Noted(log=log), log_config=False)
    assert ["service starts", "main False", "service stops NoneType", "other task ends"] == log


def test_run_returns_the_result_and_raises_the_error_of_the_coroutine() -> None:
    async def give(value: int) -> int:
        if value == 0:
            raise ZeroDivisionError
        return value

    assert 42 == run(give(42), log_config=False)
    with pytest.raises(ZeroDivisionError):
        run(give(0), log_config=False)
    with pytest.raises(ValueError, match="bad"):
        run(give(1), Failing(log=[], label="bad"), log_config=False)


async def test_run_inside_a_loop_is_refused() -> None:
    async def main() -> None: ...

    with pytest.raises(MisuseError, match="async with entrypoint"):
        run(main(), log_config=False)


def test_nested_entrypoints_are_current_in_turn() -> None:
    async def inner() -> None:
        outer = entrypoint.get_current()
        async with quiet() as program:
            assert program is entrypoint.get_current()
        assert outer is entrypoint.get_current()

    program = quiet()
    with program as loop:
        assert program is entrypoint.get_current()
        loop.run_until_complete(inner())
    with pytest.raises(NoEntrypointError):
        entrypoint.get_current()


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match=r"instances of Service\nhint: make one: Noted\(\.\.\.\)"):
        entrypoint(Noted)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for timeout in (0, math.nan):
        with pytest.raises(InvalidArgumentError, match="shutdown_timeout="):
            entrypoint(shutdown_timeout=timeout)
    for number in (0, 999, signal.SIGKILL):
        with pytest.raises(InvalidArgumentError, match="signals that can be caught"):
            entrypoint(catch_signals=(signal.SIGTERM, number))
    program = quiet()
    for name in ("loop", "ctx"):
        with pytest.raises(MisuseError, match="before it is entered"):
            getattr(program, name)
    assert "<Entrypoint new services=0>" == repr(program)
    with program:
        pass
    with pytest.raises(MisuseError, match="entered once"):
        program.__enter__()


def test_a_given_loop_stays_open() -> None:
    loop = asyncio.new_event_loop()
    with quiet(loop=loop) as same:
        assert loop is same
    assert not loop.is_closed()
    loop.close()


def test_a_program_in_a_thread_catches_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> Any:
        return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert before is pool.submit(lambda: run(main(), log_config=False)).result(30)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with quiet():
        assert before is not signal.getsignal(signal.SIGTERM)
    assert before is signal.getsignal(signal.SIGTERM)


async def test_a_signal_cancels_the_task_around_the_block() -> None:
    log: list[str] = []

    async def program() -> None:
        async with quiet(Noted(log=log)):
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.Event().wait()
            finally:
                log.append("main ends")

    before = signal.getsignal(signal.SIGINT)
    task = asyncio.ensure_future(_exit_code(program()))
    assert 130 == await task
    assert ["service starts", "main ends", "service stops SignalReceivedError"] == log
    assert before is signal.getsignal(signal.SIGINT)


async def _exit_code(work: Any) -> Any:
    try:
        await work
    except SystemExit as error:
        return error.code


async def test_sighup_calls_the_receivers_of_reload() -> None:
    reloaded = asyncio.Event()

    async def reload(entrypoint: object) -> None:
        reloaded.set()

    program = quiet()
    program.reload.connect(reload)
    async with program:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(reloaded.wait(), 5)


def test_the_context_is_that_of_the_loop() -> None:
    async def main() -> None:
        assert entrypoint.get_current().ctx is get_context()

    run(main(), log_config=False)


def test_a_loop_is_closed_when_its_services_did_not_start() -> None:
    program = quiet(Failing(log=[], label="bad"))
    with pytest.raises(ValueError, match="bad"), program:
        raise NotImplementedError
    assert program.loop.is_closed()


def test_every_variable_has_its_effect_and_arguments_win(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "LOG_LEVEL": "warning",
        "LOG_FORMAT": "json",
        "LOG_DATE_FORMAT": "DATE",
        "LOG_FLUSH": "10",
        "LOG_BUFFER_SIZE": "4",
        "POOL_SIZE": "3",
        "SHUTDOWN_TIMEOUT": "7",
        "DEBUG": "1",
        "NO_PLUGINS": "1",
    }.items():
        monkeypatch.setenv(f"MAINSPRING_{name}", value)
    # With debug it tells of each step that took a tenth of a second, as one may on a busy machine.
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)

    async def main() -> int:
        logging.info("too quiet")
        for number in range(3):
            logging.warning("number %d", number)
        pool = entrypoint.get_current().loop.__dict__.get("_default_executor")
        return int(getattr(pool, "_max_workers", 0))

    program = entrypoint()
    with program as loop:
        assert loop.get_debug()
        assert 3 == loop.run_until_complete(main())
    assert 7.0 == program.exit.timeout
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert ["number 0", "number 1", "number 2"] == [line["msg"] for line in lines]
    assert {"DATE"} == {line["@timestamp"] for line in lines}
    program = entrypoint(log_level="info", log_format="plain", log_date_format="%%", debug=False, shutdown_timeout=8)
    with program as loop:
        assert not loop.get_debug()
        logging.info("heard")
    assert "% heard\n" == capsys.readouterr().err
    monkeypatch.setenv("MAINSPRING_LOG_BUFFERING", "0")
    with entrypoint(log_format="plain"):
        assert not any(isinstance(one, BufferedHandler) for one in logging.getLogger().handlers)
    monkeypatch.setenv("MAINSPRING_LOG_CONFIG", "0")
    before = list(logging.getLogger().handlers)
    with entrypoint():
        assert before == logging.getLogger().handlers


def test_what_a_full_log_buffer_does_may_be_chosen() -> None:
    gate, seen = threading.Event(), list[str]()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            gate.wait(30)
            seen.append(record.getMessage())

    gate.set()
    options: dict[str, Any] = {"log_format": "disabled", "log_level": "debug", "log_handlers": [Slow()]}
    with entrypoint(log_policy="drop-debug", log_buffer_size=2, log_flush_interval=0.0, **options):
        gate.clear()
        logging.error("first")
        logging.error("second")
        for _ in range(3):
            logging.debug("of no weight")
        gate.set()
    assert ["first", "second"] == [one for one in seen if one in ("first", "second")]
    with (
        pytest.raises(InvalidArgumentError, match="policy='panic'"),
        entrypoint(log_policy="panic", **options),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ):
        raise NotImplementedError
