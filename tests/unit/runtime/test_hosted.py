"""One service: its limits, its resources, its restarts."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import pytest
from tests.unit.runtime.support_services import Noted, Working, quiet

from mainspring.base import Backoff
from mainspring.errors import (
    InvalidArgumentError,
    MisuseError,
    ServiceTimeoutError,
)
from mainspring.runtime import Service, resource
from mainspring.testing import VirtualClock, eventually


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


async def test_an_unknown_restart_policy_is_refused() -> None:
    class Odd(Noted):
        restart: Any = "sometimes"

    with pytest.raises(InvalidArgumentError, match=r"Odd.restart='sometimes'"):
        async with quiet(Odd(log=[])):
            raise NotImplementedError


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


async def test_a_service_may_bound_its_own_stop_and_start(caplog: pytest.LogCaptureFixture) -> None:
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
    assert [] == [one.getMessage() for one in caplog.records if "SlowStart" in one.getMessage()]


def test_the_log_says_who_is_waited_for_when_a_start_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    class Forgetful(Noted):
        """Works, and does not say that it is ready."""

        start_timeout = 20.0

        async def start(self) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(ServiceTimeoutError, match="did not start within") as caught:
            async with quiet(Forgetful(log=[])):
                raise NotImplementedError
        assert "self.start_event.set()" in (caught.value.hint or "")

    with VirtualClock() as clock:
        clock.run(main())
    (said,) = [one.getMessage() for one in caplog.records if "is not ready after 15 s" in one.getMessage()]
    assert said.startswith("service ")
    assert "self.start_event.set()" in said


async def test_a_stop_that_awaits_its_cancelled_task_is_no_failure() -> None:
    class Owner(Noted):
        async def start(self) -> None:
            self.task = asyncio.create_task(asyncio.Event().wait())

        async def stop(self, exception: BaseException | None = None) -> None:
            self.task.cancel()
            await self.task

    async with quiet(Owner(log=[])):
        pass


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


async def test_a_service_asks_by_name_for_what_has_no_value() -> None:
    log: list[str] = []

    @resource
    async def pool(dsn: str) -> AsyncGenerator[str]:
        log.append(f"pool of {dsn} made")
        yield f"pool of {dsn}"
        log.append("pool closed")

    @resource
    def dsn() -> str:
        return "sqlite://"

    class User(Noted):
        pool: str
        label: str = "a value of the class"
        unknown: str

        async def start(self) -> None:
            log.append(f"{self.pool}, {self.label}")

    class Later(User):
        label: Annotated[str, pool]

    named: dict[str, Any] = {"pool": pool, "dsn": dsn, "label": dsn}
    async with quiet(User(log=log), User(log=log, pool="my own"), resources=named) as program:
        assert not hasattr(program.services[0], "unknown")
        await program.start_services(Later(log=log))
    assert [
        "my own, a value of the class",
        "pool of sqlite:// made",
        "pool of sqlite://, a value of the class",
        "pool of sqlite://, pool of sqlite://",
        "pool closed",
    ] == [line for line in log if "stops" not in line]


async def test_what_a_service_made_for_itself_is_not_replaced() -> None:
    @resource
    def made() -> str:
        return "pool of the program"

    class Own(Noted):
        pool: str
        other: Annotated[str, made]

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.pool = self.other = "its own"

    async with quiet(service := Own(log=[]), resources={"pool": made}):
        assert ("its own", "its own") == (service.pool, service.other)
    assert "its own" == service.pool


async def test_resources_are_there_until_the_stop_and_taken_back_then() -> None:
    log: list[str] = []
    numbers = iter(range(2))

    @resource
    def pool() -> str:
        return f"pool {next(numbers)}"

    class User(Service):
        pool: str

        async def start(self) -> None:
            self.start_event.set()
            raise OSError("after it was ready")

        async def stop(self, exception: BaseException | None = None) -> None:
            log.append(f"stops with {self.pool}")

    service = User()
    for _ in range(2):
        async with quiet(service, resources={"pool": pool}):
            pass
        assert not hasattr(service, "pool")
    assert ["stops with pool 0", "stops with pool 1"] == log


async def test_a_start_that_ends_by_a_cancellation_is_a_failure() -> None:
    class Cancelled(Noted):
        async def start(self) -> None:
            task = asyncio.create_task(asyncio.sleep(0))
            task.cancel()
            await task

    with pytest.raises(MisuseError, match="ended by a cancellation"):
        async with quiet(Cancelled(log=[])):
            raise NotImplementedError


async def test_a_work_that_is_cancelled_from_outside_is_not_healthy() -> None:
    log: list[str] = []
    async with quiet(Working(log=log)) as program:
        (task,) = (one for one in asyncio.all_tasks() if one.get_name().startswith("service"))
        task.cancel()
        await eventually(lambda: program.health().services[0].state == "failed")
        assert "ended by a cancellation" in str(program.health().services[0].error)
