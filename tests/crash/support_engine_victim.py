"""Forks processes that work on one store and die: `python -m tests.crash.support_engine_victim STORE`.

Each line `NUMBER TRAP CALLS` of its input forks one; TRAP `-` sets none. When a line `wait` comes, all that were
forked are waited for, and their exit statuses printed in order. Forked from here they start in a few milliseconds.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.crash.support_traps import set_trap

from mainspring.jobs import DataInterval, JobApp, JobContext
from mainspring.jobs.stores import SqliteStore
from mainspring.sinks import SqlTable

START: Final = datetime(2013, 1, 1, tzinfo=UTC)
HOURS: Final = 6
CALLS: Final = 3
ROWS: Final = 3
LEASE: Final = 3600.0  # whatever goes on sooner has not waited for it


def make_app(path: str) -> JobApp:
    app = JobApp("victims", store=SqliteStore(path, durability="process", lease=LEASE), poll_interval=0.2)

    @app.job("load", every=3600, start_at=datetime(2100, 1, 1, tzinfo=UTC), sink=SqlTable("rows", replace="interval"))
    async def load(data_interval: DataInterval) -> AsyncIterator[dict[str, object]]:
        for number in range(ROWS):
            yield {"hour": data_interval.start.isoformat(), "number": number}

    @app.job("call", sink=SqlTable("calls", key=("name",)))
    async def call(ctx: JobContext) -> None:
        await ctx.emit({"name": ctx.config["name"]})

    return app


async def call(app: JobApp, name: str) -> None:
    """Make a call; one that failed with the third node that died is made anew."""
    for again in range(100):
        result = await app.run_job("call", config={"name": name}, idempotency_key=f"{name}, {again}")
        if result.state == "succeeded":
            return
    raise AssertionError(f"{name} never succeeded")


async def work(path: str, numbers: range) -> None:
    """Load the hours of these numbers, and make their calls; each may have been begun by one who died."""
    app = make_app(path)
    await app.start()
    try:
        first = START + timedelta(hours=HOURS * numbers.start)
        backfill = await app.backfill("load", first, START + timedelta(hours=HOURS * numbers.stop), max_parallel=4)
        names = [f"call {number}.{index}" for number in numbers for index in range(CALLS)]
        for some in (names[at : at + 200] for at in range(0, len(names), 200)):
            await asyncio.gather(*(call(app, name) for name in some))
        await backfill.wait()
    finally:
        await app.stop()


def fork(path: str, number: int, trap: str, calls: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        if trap == "-":
            asyncio.run(work(path, range(number)))
        else:
            set_trap(trap, calls)
            asyncio.run(work(path, range(number, number + 1)))
    except BaseException:  # noqa: BLE001  # a child of a fork must not come back into the loop below
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(path: str) -> None:
    children: list[int] = []
    for line in sys.stdin:
        if line == "wait\n":
            print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children), flush=True)
            children = []
        else:
            number, trap, calls = line.split()
            children.append(fork(path, int(number), trap, int(calls)))


if __name__ == "__main__":
    main(sys.argv[1])
