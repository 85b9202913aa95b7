"""Starting and stopping: order, failures, bounds, nesting; on a loop of its own and on a running one."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest

from mainspring.base import Backoff
from mainspring.errors import (
    ClosedError,
    InvalidArgumentError,
    MisuseError,
    NoEntrypointError,
    ServiceTimeoutError,
    ShutdownTimeoutError,
)
from mainspring.runtime import Service, entrypoint, get_context, resource, run
from mainspring.testing import VirtualClock, eventually


@pytest.fixture(autouse=True)
def _asyncio_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first loop of libuv leaves a pipe open in the process."""
    monkeypatch.setenv("MAINSPRING_USE_UVLOOP", "0")


class Noted(Service):
    """Writes into a shared list what happens to it."""

    log: list[str]
    label: str = "service"

    async def start(self) -> Any:
        self.log.append(f"{self.label} starts")

    async def stop(self, exception: BaseException | None = None) -> Any:
        self.log.append(f"{self.label} stops {type(exception).__name__}")


class Working(Noted):
    """Is its own work."""

    async def start(self) -> None:
        self.log.append(f"{self.label} starts")
        self.start_event.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append(f"{self.label} is cancelled")


class Failing(Noted):
    """Does not start."""

    async def start(self) -> None:
        raise ValueError(self.label)


def quiet(*services: Service, **options: Any) -> entrypoint:
    options.setdefault("log_config", False)
    return entrypoint(*services, **options)


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


def test_one_failing_stop_does_not_keep_the_others_from_stopping() -> None:
    log: list[str] = []

    class BadStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            raise OSError("stop")

    class SlowStop(Noted):
        async def stop(self, exception: BaseException | None = None) -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            log.append("slow stopped")

    with pytest.raises(OSError, match="stop"), quiet(BadStop(log=log), SlowStop(log=log)):
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


async def test_a_service_may_bound_its_own_stop_and_start() -> None:
    class SlowStop(Noted):
        stop_timeout = 0.01

        async def stop(self, exception: BaseException | None = None) -> None:
            await asyncio.Event().wait()

    class SlowStart(Noted):
        start_timeout = 0.01

        async def start(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(ServiceTimeoutError, match="did not stop within"):
        async with quiet(SlowStop(log=[])):
            pass
    with pytest.raises(ServiceTimeoutError, match="did not start within"):
        async with quiet(SlowStart(log=[])):
            raise NotImplementedError


async def test_a_stop_that_awaits_its_cancelled_task_is_no_failure() -> None:
    class Owner(Noted):
        async def start(self) -> None:
            self.task = asyncio.create_task(asyncio.Event().wait())

        async def stop(self, exception: BaseException | None = None) -> None:
            self.task.cancel()
            await self.task

    async with quiet(Owner(log=[])):
        pass


async def test_services_start_and_stop_while_the_program_runs() -> None:
    log: list[str] = []
    async with quiet() as program:
        one, other = Working(log=log, label="one"), Noted(log=log, label="other")
        await program.start_services(one, other)
        with pytest.raises(MisuseError, match="is started already"):
            await program.start_services(Noted(log=log), one)
        await program.stop_services(one, exc=KeyError("why"))
        assert "one is cancelled" == log[-1]
        assert (other,) == program.services
        with pytest.raises(ValueError, match="bad"):
            await program.start_services(Failing(log=log, label="bad"), Noted(log=log, label="third"))
        assert "third stops ValueError" == log[-1]
    assert "other stops NoneType" == log[-1]


async def test_required_services_start_before_and_stop_after() -> None:
    log: list[str] = []

    class Database(Noted):
        async def start(self) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            await super().start()

    class Api(Noted):
        requires = (Database, "cache")

    class Front(Noted):
        requires = (Api,)

    services = (
        Front(log=log, label="front"),
        Api(log=log, label="api"),
        Database(log=log, label="db"),
        Noted(log=log, label="cache", name="cache"),
    )
    async with quiet(*services):
        assert log.index("db starts") < log.index("api starts") < log.index("front starts")
    assert ["front stops NoneType", "api stops NoneType"] == log[4:6]
    with pytest.raises(MisuseError, match=r"requires .*Database, which is not among"):
        async with quiet(Api(log=log)):
            raise NotImplementedError


async def test_what_requires_a_service_that_failed_is_not_started() -> None:
    log: list[str] = []

    class Dependent(Noted):
        requires = (Failing,)

    with pytest.raises(ValueError, match="base"):
        async with quiet(Failing(log=log, label="base"), Dependent(log=log)):
            raise NotImplementedError
    assert [] == log


async def test_a_circle_of_requirements_is_drawn() -> None:
    class One(Noted):
        requires = ("Two",)

    class Two(Noted):
        requires = (One,)

    with pytest.raises(ValueError, match=r"One -> .*Two -> .*One"):
        async with quiet(One(log=[]), Two(log=[])):
            raise NotImplementedError


async def test_a_service_gets_its_resources_and_shares_them() -> None:
    log: list[str] = []

    @resource
    async def shared_pool() -> AsyncGenerator[str]:
        log.append("pool made")
        yield "pool"
        log.append("pool closed")

    class User(Noted):
        pool: Annotated[str, shared_pool]

        async def start(self) -> None:
            log.append(f"starts with {self.pool}")

    async with quiet(User(log=log), User(log=log, pool="my own")) as program:
        assert ["starts with my own", "pool made", "starts with pool"] == log
        async with program.resources.use(shared_pool) as value:
            assert "pool" == value
    assert "pool closed" == log[-1]


async def test_a_work_that_fails_is_started_again_when_it_asks_for_it() -> None:
    class Shaky(Service):
        restart = "on-failure"
        attempts = 0

        async def start(self) -> None:
            self.attempts += 1
            self.start_event.set()
            if self.attempts < 3:
                raise OSError("shaky")
            self.context["ready"] = self.attempts
            await asyncio.Event().wait()

    async with quiet(service := Shaky(backoff=Backoff.constant(0.0))) as program:
        assert 3 == await program.ctx["ready"]
        assert 2 == program.health().services[0].restart_count
        assert service.ready


async def test_a_work_that_always_restarts_runs_again_after_it_returned_and_may_be_given_up() -> None:
    class Ends(Service):
        restart = "always"
        runs = 0

        async def start(self) -> None:
            self.runs += 1
            self.start_event.set()
            if self.runs == 3:
                self.context["third"] = True
                raise OSError("third")

    service = Ends(backoff=Backoff.constant(0.0, max_tries=3))
    async with quiet(service) as program:
        await program.ctx["third"]
        for _ in range(3):
            await asyncio.sleep(0)
        assert "failed" == program.health().services[0].state
    assert 3 == service.runs


async def test_a_service_that_dies_is_not_ready_until_its_next_run_is() -> None:
    class Slow(Service):
        restart = "on-failure"
        gate: asyncio.Event
        die: asyncio.Event

        async def start(self) -> None:
            await self.gate.wait()
            self.start_event.set()
            await self.die.wait()
            self.gate.clear()
            self.die.clear()
            raise OSError("died")

    service = Slow(gate=asyncio.Event(), die=asyncio.Event(), backoff=Backoff.constant(0.0))
    service.gate.set()
    async with quiet(service) as program:
        service.die.set()
        await eventually(lambda: program.health().services[0].state == "restarting")
        assert not program.health().ready
        assert program.health().healthy
        service.gate.set()
        await eventually(lambda: program.health().ready)
        assert "running" == program.health().services[0].state


async def test_a_run_that_fails_before_it_is_ready_again_is_restarted_too() -> None:
    class Flaky(Service):
        restart = "on-failure"
        runs = 0

        async def start(self) -> None:
            self.runs += 1
            if self.runs in (2, 3):
                raise ConnectionError("not yet")
            self.start_event.set()
            if self.runs == 1:
                raise OSError("died")
            self.context["well"] = True
            await asyncio.Event().wait()

    async with quiet(service := Flaky(backoff=Backoff.constant(0.0))) as program:
        await program.ctx["well"]
    assert 4 == service.runs


async def test_delays_begin_anew_after_a_run_that_went_well(virtual_clock: VirtualClock) -> None:
    class Daily(Service):
        restart = "on-failure"
        runs: list[float]
        backoff = Backoff(1.0, maximum=10.0, jitter="none", max_tries=3)

        async def start(self) -> None:
            self.runs.append(virtual_clock.monotonic())
            self.start_event.set()
            await asyncio.sleep(86400.0 if len(self.runs) % 2 else 0.0)
            raise OSError("died")

    service = Daily(runs=[])
    async with quiet(service) as program:
        await asyncio.sleep(86400 * 10)
        assert 18 <= program.health().services[0].restart_count
    first, second, third, fourth = (round(one % 86400) for one in service.runs[:4])
    assert (0, 1, 3, 4) == (first, second, third, fourth)


async def test_a_service_that_dies_a_hundred_times_is_restarted_a_hundred_times() -> None:
    class Dies(Service):
        restart = "always"
        runs = 0

        async def start(self) -> None:
            self.runs += 1
            self.start_event.set()
            if self.runs == 101:
                self.context["survived"] = True
                await asyncio.Event().wait()
            if self.runs % 2:
                raise OSError("died")

    async with quiet(service := Dies(backoff=Backoff.constant(0.0))) as program:
        await program.ctx["survived"]
        assert 100 == program.health().services[0].restart_count
        assert program.health().ready
    assert 101 == service.runs


async def test_when_one_of_fifty_does_not_start_the_others_are_stopped() -> None:
    log: list[str] = []
    services: list[Service] = [(Working if number % 2 else Noted)(log=log, label=str(number)) for number in range(49)]
    with pytest.raises(ValueError, match="the fiftieth"):
        async with quiet(*services[:25], Failing(log=log, label="the fiftieth"), *services[25:]):
            raise NotImplementedError
    started = {line.split()[0] for line in log if line.endswith("starts")}
    assert {str(number) for number in range(25)} <= started
    assert started == {line.split()[0] for line in log if line.endswith("stops ValueError")}
    assert {one for one in started if int(one) % 2} == {line.split()[0] for line in log if line.endswith("cancelled")}


async def test_an_unknown_restart_policy_is_refused() -> None:
    class Odd(Noted):
        restart: Any = "sometimes"

    with pytest.raises(InvalidArgumentError, match=r"Odd.restart='sometimes'"):
        async with quiet(Odd(log=[])):
            raise NotImplementedError


async def test_no_service_is_started_in_a_program_that_stops() -> None:
    log: list[str] = []
    with pytest.raises(MisuseError, match="before it is entered"):
        await quiet().start_services(Noted(log=log))
    async with quiet() as program:
        pass
    with pytest.raises(ClosedError, match="this program is closed"):
        await program.start_services(Noted(log=log))
    assert [] == log


async def test_who_is_stopped_before_it_has_started_did_not_start() -> None:
    log: list[str] = []

    class Slow(Noted):
        async def start(self) -> None:
            await asyncio.Event().wait()

    async with quiet() as program:
        starting = asyncio.ensure_future(program.start_services(slow := Slow(log=log)))
        await eventually(lambda: slow in program.services)
        await program.stop_services(slow)
        with pytest.raises(ClosedError, match=r"Slow is closed"):
            await starting


async def test_a_start_that_fails_while_it_is_cancelled_is_reported() -> None:
    class BadEnd(Noted):
        async def start(self) -> None:
            self.start_event.set()
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("at the end")

    with pytest.raises(OSError, match="at the end"):
        async with quiet(BadEnd(log=[])):
            pass


async def test_services_that_require_their_own_class_stop_together() -> None:
    class Peer(Noted):
        requires = ("Noted",)

    log: list[str] = []
    async with quiet(Peer(log=log), Noted(log=log, label="first")):
        pass
    assert 2 == sum("stops" in line for line in log)


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


async def test_health_tells_who_is_not_well() -> None:
    class Dies(Service):
        async def start(self) -> None:
            self.start_event.set()
            await asyncio.sleep(0)
            raise OSError("died")

    class Sick(Service):
        async def start(self) -> None: ...

        def healthy(self) -> bool:
            raise KeyError("sick")

    class Well(Sick):
        def healthy(self) -> bool:
            return True

    async with quiet(Dies(), Sick(), Well()) as program:
        for _ in range(5):
            await asyncio.sleep(0)
        report = program.health()
        assert not report.healthy
        assert [False, False, True] == [one.healthy for one in report.services]
        assert ["OSError: died", "KeyError: 'sick'", None] == [one.error for one in report.services]
        await program.stop_services(*program.services)
        assert program.health().ready
    assert not program.health().ready


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
    with pytest.raises(InvalidArgumentError, match="instances of Service"):
        entrypoint(Noted)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArgumentError, match="shutdown_timeout=0"):
        entrypoint(shutdown_timeout=0)
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
