"""Objects given directly as resources of jobs: the house's own kinds, one of each for all runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tests.unit.jobs.engine.support_engine import at, make_app, running

from mainspring.concurrency import WorkerPool
from mainspring.jobs import JobApp, RunState
from mainspring.resilience import CircuitBreaker, PoolBase, RateLimit
from mainspring.tools import Notifier


class Connections(PoolBase[int]):
    """Lends numbers, and knows which are out."""

    def __init__(self, maxsize: int = 3) -> None:
        super().__init__(maxsize)
        self.made = self.out = self.most = self.destroyed = 0

    async def _create_instance(self) -> int:
        self.made += 1
        return self.made

    async def _destroy_instance(self, instance: int) -> None:
        self.destroyed += 1


def pooled(path: Path, pool: Connections, limit: RateLimit | None = None) -> JobApp:
    app = make_app(path)

    @app.job("load", every=3600.0, start_at=at(0), missed="skip", resources={"connection": pool})
    async def load(connection: int) -> int:
        pool.out += 1
        pool.most = max(pool.most, pool.out)
        await asyncio.sleep(0)
        pool.out -= 1
        return connection

    return app


async def test_runs_borrow_from_a_pool_and_its_connections_end_with_the_app(tmp_path: Path) -> None:
    pool = Connections()
    async with running(pooled(tmp_path, pool)) as app:
        results = await asyncio.gather(*(app.run_job("load") for _ in range(40)))
        assert {1, 2, 3} == {result.value for result in results}
        assert (3, 3) == (pool.made, len(pool))
        assert pool.most <= 3
    assert (3, 0) == (pool.destroyed, len(pool))


def test_a_pool_in_a_declaration_serves_one_loop_after_another(tmp_path: Path) -> None:
    app = pooled(tmp_path, pool := Connections())

    async def main() -> object:
        return (await app.run_job("load")).value

    assert [1, 2] == [asyncio.run(main()), asyncio.run(main())]
    assert 2 == pool.destroyed


def test_resources_are_closed_in_reverse_order_with_a_bare_loop(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    closed: list[str] = []

    @app.resource
    async def session() -> AsyncIterator[str]:
        yield "session"
        closed.append("session")

    @app.resource
    async def client(session: str) -> AsyncIterator[str]:
        yield f"client of {session}"
        closed.append("client")

    @app.job()
    async def load(client: str) -> str:
        return client

    async def main() -> None:
        assert "client of session" == (await app.run_job(load)).value

    asyncio.run(main())
    assert ["client", "session"] == closed


async def test_a_pool_class_is_made_for_the_app_and_closed_with_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    pools: list[Connections] = []

    @app.job("load", resources={"pool": Connections})
    async def load(pool: Connections) -> int:
        pools.append(pool)
        async with pool.acquire() as connection:
            return connection

    async with running(app):
        assert [1, 1] == [(await app.run_job("load")).check().value for _ in range(2)]
    assert pools[0] is pools[1]
    assert "closed" in repr(pools[0])
    assert 1 == pools[0].destroyed


async def test_limiters_breakers_and_notifiers_come_as_they_are(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    limit, breaker = RateLimit(2, 3600), CircuitBreaker(0.5, 60.0)
    given = {"limit": limit, "breaker": breaker, "notifier": Notifier(url="http://127.0.0.1:1", user_id="nobody")}

    @app.job("ask", resources=given)
    async def ask(limit: RateLimit, breaker: CircuitBreaker, notifier: Notifier) -> bool:
        assert (limit, breaker, notifier) == tuple(given.values())
        with breaker.context():
            return limit.try_acquire() is None

    async with running(app):
        results = await asyncio.gather(*(app.run_job("ask") for _ in range(5)))
    assert [False, False, False, True, True] == sorted(bool(result.check().value) for result in results)


async def test_worker_processes_that_were_not_started_are_started_once_and_end_with_the_app(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    workers = WorkerPool(1)

    @app.job("cube", resources={"workers": workers})
    async def cube(workers: WorkerPool) -> int:
        return await workers.create_task(pow, 3, 3)

    async with running(app):
        results = await asyncio.gather(*(app.run_job("cube") for _ in range(4)))
        assert [27] * 4 == [result.check().value for result in results]
        assert 1 == len(workers.pids)
    assert "closed" in repr(workers)


async def test_worker_processes_that_run_already_are_left_to_their_owner(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with WorkerPool(1) as workers:

        @app.job("cube", resources={"workers": workers})
        async def cube(workers: WorkerPool) -> int:
            return await workers.create_task(pow, 3, 3)

        async with running(app):
            assert 27 == (await app.run_job("cube")).check().value
        assert 8 == await workers.create_task(pow, 2, 3)


async def test_worker_processes_that_cannot_start_fail_the_run_by_name(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("cube", resources={"workers": WorkerPool(1, initializer=int, initializer_args=("no number",))})
    async def cube(workers: WorkerPool) -> int:
        return await workers.create_task(pow, 3, 3)

    async with running(app):
        result = await app.run_job("cube")
    assert result.state is RunState.FAILED
    assert "WorkerPool" in str(result.error)
    assert "no number" in str(result.error)
