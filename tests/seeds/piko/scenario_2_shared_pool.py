"""Scenario 2, a shared pool: the seed's program; the prelude supplies its pool, the end starts the runs."""

import asyncio
from contextlib import asynccontextmanager

from mainspring.jobs import Resource, job, job_runner


class Connection:
    async def execute(self, statement):
        for _ in range(3):
            await asyncio.sleep(0)


class MyAsyncDBPool:
    made = 0

    def __init__(self, max_size):
        type(self).made += 1
        self._free = asyncio.Semaphore(max_size)
        self.used = self.most = 0

    @asynccontextmanager
    async def acquire(self):
        async with self._free:
            self.used += 1
            self.most = max(self.most, self.used)
            yield Connection()
            self.used -= 1


class DBPoolResource(Resource):
    def __init__(self):
        self.pool = MyAsyncDBPool(max_size=50)
        pools.append(self.pool)

    @asynccontextmanager
    async def acquire(self, ctx):
        async with self.pool.acquire() as conn:
            yield conn


pools: list[MyAsyncDBPool] = []


@job(
    job_id="heavy_etl_task",
    cron="*/5 * * * *",
    resources={"db": DBPoolResource},
)
async def etl_handler(ctx, scheduled_time, db):
    await db.execute("INSERT INTO logs ...")
    print("Write success")


async def main():
    results = await asyncio.gather(*(job_runner.run_job("heavy_etl_task") for _ in range(5000)))
    print("ok", sum(result.ok for result in results), "most", pools[0].most, "made", MyAsyncDBPool.made)


if __name__ == "__main__":
    asyncio.run(main())
