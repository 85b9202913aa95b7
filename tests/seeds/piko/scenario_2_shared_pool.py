"""Scenario 2, a shared pool: the seed's program; the prelude supplies its pool, the end starts the runs.

No statement ends before 2000 runs stand before the pool at once: by fewer the program would never end.
"""

import asyncio
from contextlib import asynccontextmanager

from mainspring.jobs import Resource, job, job_runner


class Connection:
    async def execute(self, statement):
        await enough_runs_at_once.wait()


class MyAsyncDBPool:
    def __init__(self, max_size):
        pools.append(self)
        self._free = asyncio.Semaphore(max_size)
        self.asked = self.used = self.most_asked = self.most_used = 0

    @asynccontextmanager
    async def acquire(self):
        self.asked += 1
        self.most_asked = max(self.most_asked, self.asked)
        if self.asked == 2000:
            enough_runs_at_once.set()
        async with self._free:
            self.used += 1
            self.most_used = max(self.most_used, self.used)
            yield Connection()
            self.used -= 1
        self.asked -= 1


pools: list[MyAsyncDBPool] = []
enough_runs_at_once = asyncio.Event()


class DBPoolResource(Resource):
    def __init__(self):
        self.pool = MyAsyncDBPool(max_size=50)

    @asynccontextmanager
    async def acquire(self, ctx):
        async with self.pool.acquire() as conn:
            yield conn


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
    (pool,) = pools
    print("ok", sum(result.ok for result in results), "most used", pool.most_used, "left", pool.used, pool.asked)
    print("most asked", pool.most_asked)


if __name__ == "__main__":
    asyncio.run(main())
