"""Scenario 3, CPU work in processes: the seed's program; the end starts one run and counts the loop's ticks."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from mainspring.jobs import Resource, job, job_runner


def heavy_calculation(data_chunk: bytes) -> int:
    import time

    time.sleep(10)
    return len(data_chunk)


class CpuPoolResource(Resource):
    def __init__(self):
        self.pool = ProcessPoolExecutor(max_workers=4)

    async def acquire(self, ctx):
        yield self.pool


@job(
    job_id="process_large_file",
    cron="0 0 * * *",
    resources={"cpu_pool": CpuPoolResource},
)
async def data_mining_handler(ctx, scheduled_time, cpu_pool):
    loop = asyncio.get_running_loop()
    huge_data = b"0" * 1024 * 1024 * 100

    print(f"[{scheduled_time}] Start calculation...")
    result = await loop.run_in_executor(
        cpu_pool,
        heavy_calculation,
        huge_data,
    )
    print(f"Calculation done. Result: {result}")


async def main():
    run = asyncio.create_task(job_runner.run_job("process_large_file"))
    ticks = 0
    while not run.done():
        await asyncio.sleep(0.01)
        ticks += 1
    print("ok", run.result().ok, "ticks", ticks)


if __name__ == "__main__":
    # A child that is forked beside threads, the default until Python 3.14, may wait for ever for a lock of theirs.
    multiprocessing.set_start_method("forkserver")
    asyncio.run(main())
