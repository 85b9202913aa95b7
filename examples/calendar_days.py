"""How many hours each day of 2013 had in New York: a job with exact intervals, backfilled in one call.

python examples/calendar_days.py
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

from mainspring.jobs import DataInterval, JobApp
from mainspring.sinks import SqlTable

app = JobApp("calendar", store="sqlite:///calendar.db")


@app.job(cron="0 0 * * *", timezone="America/New_York", retry=3, sink=SqlTable("days", replace="interval"))
async def load_day(data_interval: DataInterval) -> AsyncIterator[dict[str, object]]:
    yield {"day": data_interval.date.isoformat(), "hours": data_interval.duration / 3600}


async def main() -> None:
    backfill = await app.backfill(load_day, date(2013, 1, 1), date(2014, 1, 1))
    print(await backfill.wait())


if __name__ == "__main__":
    asyncio.run(main())
