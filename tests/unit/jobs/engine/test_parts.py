"""What an open app shares with the program around it, and what it closes itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.jobs import JobApp
from mainspring.resilience import PoolBase
from mainspring.runtime import Resource, Service, entrypoint, resource


class Pool(Resource):
    made: list["Pool"]
    events: list[str]

    def __init__(self) -> None:
        self.made.append(self)
        self.events.append("pool made")

    async def acquire(self, ctx: Any) -> AsyncIterator["Pool"]:
        yield self

    async def close(self) -> None:
        self.events.append("pool closed")


class Collector(Service):
    pool: Annotated[Pool, Pool]
    app: JobApp

    async def start(self) -> None:
        """Also asks for a run before the app has started: it opens for the program all the same."""
        assert (await self.app.run_job("use")).check().value == id(self.pool)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    monkeypatch.setattr(Pool, "events", events, raising=False)
    monkeypatch.setattr(Pool, "made", [], raising=False)
    return events


def app_with(path: Path, events: list[str]) -> JobApp:
    app = make_app(path)

    @resource
    async def table(pool: Annotated[Pool, Pool]) -> AsyncIterator[str]:
        events.append("table made")
        yield f"table of {id(pool)}"
        events.append("table closed")

    @app.job("use")
    async def use(pool: Annotated[Pool, Pool]) -> int:
        return id(pool)

    @app.job("table", resources={"table": table})
    async def read(table: str, pool: Annotated[Pool, Pool]) -> list[object]:
        return [table, id(pool)]

    return app


async def test_a_service_and_a_job_share_one_resource_that_is_closed_once_in_reverse(
    tmp_path: Path, events: list[str]
) -> None:
    app = app_with(tmp_path, events)
    collector = Collector(app=app)
    async with entrypoint(collector, app):
        pool = collector.pool
        assert (await app.run_job("use")).check().value == id(pool)
        assert (await app.run_job("table")).check().value == [f"table of {id(pool)}", id(pool)]
        assert Pool.made == [pool]
        await app.stop()
        assert "pool closed" not in events  # the program's: others use it still
    assert events == ["pool made", "table made", "table closed", "pool closed"]


async def test_a_service_and_a_job_ask_for_one_resource_by_its_name(tmp_path: Path, events: list[str]) -> None:
    class Named(Service):
        pool: Pool

        async def start(self) -> None: ...

    app = make_app(tmp_path)

    @app.job("use")
    async def use(pool: Pool) -> int:
        return id(pool)

    @app.job("own", resources={"pool": "the job's own"})
    async def own(pool: str) -> str:
        return pool

    service = Named()
    async with entrypoint(service, app, resources={"pool": Pool}):
        assert (await app.run_job("use")).check().value == id(service.pool)
        assert (await app.run_job("own")).check().value == "the job's own"
    assert events == ["pool made", "pool closed"]


async def test_an_override_replaces_the_shared_resource_while_the_app_is_open(
    tmp_path: Path, events: list[str]
) -> None:
    app = app_with(tmp_path, events)
    fake = object()
    app.override(Pool, fake)
    async with entrypoint(app) as program:
        assert (await app.run_job("use")).check().value == id(fake)
        async with program.resources.use(Pool) as pool:
            assert pool is fake
        await program.stop_services(app)
        async with program.resources.use(Pool) as pool:
            assert isinstance(pool, Pool)
    assert events == ["pool made", "pool closed"]


async def test_an_app_on_its_own_closes_its_own_resources(tmp_path: Path, events: list[str]) -> None:
    async with entrypoint(), running(app_with(tmp_path, events)) as app:
        await app.run_job("table")
        await app.stop()
        assert events == ["pool made", "table made", "table closed", "pool closed"]


class Connections(PoolBase[object]):
    """A pool that counts what is in use."""

    def __init__(self) -> None:
        super().__init__(maxsize=50)
        self.in_use = self.most = 0

    async def _create_instance(self) -> object:
        return object()

    async def _destroy_instance(self, instance: object) -> None: ...

    async def _check_instance(self, instance: object) -> bool:
        return True


async def test_a_thousand_runs_over_a_pool_never_hold_more_than_it_has() -> None:
    app, pool = JobApp("many", store="memory"), Connections()

    @app.job("use", resources={"connection": pool})
    async def use(connection: object) -> None:
        pool.in_use += 1
        pool.most = max(pool.most, pool.in_use)
        await asyncio.sleep(0)
        pool.in_use -= 1

    async with running(app):
        results = await asyncio.gather(*(app.run_job(use) for _ in range(1000)))
    assert all(result.ok for result in results)
    assert 50 == pool.most
    await pool.close()


async def test_an_error_on_the_way_out_of_a_resource_is_part_of_the_record(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @resource(scope="run")
    async def broken() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("cannot give it back")

    @app.job("works", resources={"thing": broken})
    async def works(thing: int) -> int:
        return thing

    @app.job("fails", resources={"thing": broken})
    async def fails(thing: int) -> None:
        raise ValueError("the handler's own")

    async with running(app):
        worked, failed = await app.run_job(works), await app.run_job(fails)
        record = await app.run(failed.run_id)
    assert not worked.ok
    assert "cannot give it back" in (worked.error or "")
    assert (failed.error or "").startswith("ValueError: the handler's own")
    assert record is not None
    assert "cannot give it back" in f"{failed.error}{record.error_detail}"


async def test_a_call_with_the_key_of_a_run_that_still_runs_waits_for_its_end(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    began, goes_on = asyncio.Event(), asyncio.Event()

    @app.job("slow")
    async def slow() -> str:
        began.set()
        await goes_on.wait()
        return "done"

    async with running(app):
        waiters = (await app.open()).waiters
        calls = [asyncio.create_task(app.run_job("slow", idempotency_key="once"))]
        await began.wait()
        calls.append(asyncio.create_task(app.run_job("slow", idempotency_key="once")))

        async def both_wait() -> bool:
            return [2] == [len(futures) for futures in waiters._futures.values()]

        await eventually(both_wait)
        goes_on.set()
        first, second = await asyncio.gather(*calls)
        assert (first.run_id, "done") == (second.run_id, second.value)
