"""Coroutine functions at the times of cron expressions; a sixth field are seconds.

python examples/services/cron_jobs.py
"""

import asyncio
from zoneinfo import ZoneInfo

from mainspring.runtime import run
from mainspring.services import CronService


async def every_second() -> None:
    """Do something each second."""
    print("a second has begun")
    ticked.set()


async def every_morning() -> None:
    """Do something at 08:30 in New York, in summer and in winter."""


ticked = asyncio.Event()

service = CronService()
service.register(every_second, "* * * * * *")
service.register(every_morning, "30 8 * * mon-fri", zone=ZoneInfo("America/New_York"))


async def main() -> None:
    """Wait for the next second."""
    await ticked.wait()


if __name__ == "__main__":
    run(main(), service, log_level="warning")
