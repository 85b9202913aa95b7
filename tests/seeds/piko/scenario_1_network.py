"""Scenario 1, many requests at once: the seed's program; only imports and the endpoint (argv) are changed."""

import asyncio
import sys

import aiohttp

from mainspring.jobs import job, job_runner

ENDPOINT = sys.argv[1]


@job(
    job_id="fetch_stock_price",
    cron="* * * * *",
    misfire_grace_time=10,
)
async def fetch_handler(ctx, scheduled_time):
    symbol = ctx["config"].get("symbol", "AAPL")

    async with aiohttp.ClientSession() as session:  # noqa: SIM117  # as the seed has it
        async with session.get(f"{ENDPOINT}{symbol}") as resp:
            data = await resp.json()
            print(f"[{symbol}] Price: {data['price']} at {scheduled_time}")


async def main():
    tasks = [job_runner.run_job("fetch_stock_price", config={"symbol": f"STK_{i}"}) for i in range(1000)]
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
