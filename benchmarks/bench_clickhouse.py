"""How fast one run of a job brings dict rows into ClickHouse, beside clickhouse-connect alone.

Usage: python -m benchmarks.bench_clickhouse [--quick] [--json FILE]

A million rows (200 000 with --quick) of eight columns into one engine (chdb behind HTTP, in a process of its own).
"job": a handler yields dicts into ClickHouseIntervals, with all that a job does; "session": the same sink, emitted to
by hand; "table": ClickHouseTable. "bare": dicts are gathered, made into tuples and inserted by the driver's async
client, 100 000 at a time, into a table with the same types. Each subject runs in a process of its own, so that its
peak of memory is its own; three rounds in turn, medians.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any  # Any: options, and the driver

from mainspring.jobs import JobApp
from mainspring.sinks import ClickHouseIntervals, ClickHouseTable, SinkRun, SinkSet
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer

ROUNDS = 3
TARGET = 300_000
BLOCK = 100_000
DAY = date(2013, 1, 1), date(2013, 1, 2)
START = datetime(2013, 1, 1, tzinfo=UTC)
RUN = SinkRun("run", "load", 1, 1, START, START, START + timedelta(days=1))
TYPES = (
    "id Int64, carrier Nullable(String), flight Nullable(Int64), origin Nullable(String), dest Nullable(String),"
    " delay Nullable(Float64), time_hour Nullable(String), distance Nullable(Int64)"
)
Row = dict[str, int | float | str]


def row(number: int) -> Row:
    return {
        "id": number,
        "carrier": "UA",
        "flight": 1545,
        "origin": "EWR",
        "dest": "IAH",
        "delay": 2.5,
        "time_hour": "2013-01-01T05:00:00",
        "distance": 1400,
    }


async def bare(options: dict[str, Any], table: str, count: int) -> float:
    client = await import_module("clickhouse_connect").get_async_client(**options)
    await client.command(f"CREATE TABLE {table} ({TYPES}) ENGINE = MergeTree ORDER BY id")
    began = time.perf_counter()
    gathered: list[Row] = []
    for number in range(count):
        gathered.append(row(number))
        if len(gathered) == BLOCK:
            await client.insert(table, [tuple(one.values()) for one in gathered], column_names=list(row(0)))
            gathered.clear()
    seconds = time.perf_counter() - began
    await client.close()
    return seconds


async def job(options: dict[str, Any], table: str, count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        app = JobApp(store=Path(folder, "jobs.db"), durability="process")
        async with Querier(**options) as querier:
            sink = ClickHouseIntervals(table, querier, order_by=("id",))

            @app.job("load", cron="0 0 * * *", sink=sink)
            async def load() -> AsyncGenerator[Row]:
                for number in range(count):
                    yield row(number)

            await app.open()
            began = time.perf_counter()
            done = await (await app.backfill(load, *DAY)).wait()
            seconds = time.perf_counter() - began
            assert done.succeeded == 1
            await app.close()
            return seconds


async def session(options: dict[str, Any], table: str, count: int) -> float:
    async with Querier(**options) as querier, SinkSet() as sinks:
        began = time.perf_counter()
        one = sinks.session(RUN, default=ClickHouseIntervals(table, querier, order_by=("id",)))
        for number in range(count):
            await one.emit(row(number))
        await one.finish()
        return time.perf_counter() - began


async def table_sink(options: dict[str, Any], table: str, count: int) -> float:
    async with Querier(**options) as querier, SinkSet() as sinks:
        began = time.perf_counter()
        one = sinks.session(RUN, default=ClickHouseTable(table, querier, order_by=("id",)))
        for number in range(count):
            await one.emit(row(number))
        await one.finish()
        return time.perf_counter() - began


SUBJECTS: dict[str, Callable[[dict[str, Any], str, int], Coroutine[Any, Any, float]]] = {
    "bare clickhouse-connect": bare,
    "ours, job": job,
    "ours, session": session,
    "ours, table": table_sink,
}


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(subject: str, options: dict[str, Any], table: str, count: int) -> None:
    """Print rows per second, CPU per row in us, and growth of the peak in MiB."""
    began_cpu, began_peak = time.process_time(), peak_bytes()
    seconds = asyncio.run(SUBJECTS[subject](options, table, count))
    cpu, grown = time.process_time() - began_cpu, peak_bytes() - began_peak
    print(json.dumps([count / seconds, cpu / count * 1e6, grown / 2**20]))


def measure(count: int) -> list[dict[str, object]]:
    """Run the subjects in turn, round by round, and check that all rows are there."""
    found: dict[str, list[list[float]]] = {subject: [] for subject in SUBJECTS}
    with ClickHouseServer() as server:
        for number in range(ROUNDS):
            for place, (subject, rounds) in enumerate(found.items()):
                table = f"rows_{number}_{place}"
                command = [sys.executable, "-m", "benchmarks.bench_clickhouse", "--child", subject]
                command += ["--options", json.dumps(server.options), "--table", table, "--count", str(count)]
                rounds.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
                assert asyncio.run(rows_in(server, table)) == count
    measures: list[dict[str, object]] = []
    for subject, rounds in found.items():
        rate, cpu, grown = (statistics.median(values) for values in zip(*rounds, strict=True))
        for metric, value, unit, target, met in (
            ("rows into ClickHouse", rate, "rows/s", f">= {TARGET}", rate >= TARGET),
            ("CPU per row, this process", cpu, "us", "", None),
            ("peak of memory", grown, "MiB", "<= 100", grown <= 100),
        ):
            one: dict[str, object] = {"metric": metric, "subject": subject, "value": value, "unit": unit}
            measures.append(one | ({"target": target, "met": met} if subject == "ours, job" and target else {}))
    ratio = statistics.median(
        ours[0] / alone[0] for ours, alone in zip(found["ours, job"], found["bare clickhouse-connect"], strict=True)
    )
    measures.append({"metric": "beside clickhouse-connect", "subject": "ours, job", "value": ratio, "unit": "x"})
    return measures


async def rows_in(server: ClickHouseServer, table: str) -> int:
    async with Querier(**server.options) as querier:
        result = await querier.query(f"SELECT uniqExact(id) FROM {table}")
        return int(result.result_rows[0][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.options, options.table, options.count)
        return
    measures = measure(200_000 if options.quick else 1_000_000)
    if options.json:
        options.json.write_text(json.dumps(measures))
    for one in measures:
        verdict = {True: "met", False: "missed"}.get(bool(one["met"]), "") if "met" in one else ""
        line = f"{one['metric']:26} {one['subject']:24} {one['value']:12,.2f} {one['unit']:6}"
        print(f"{line} {one.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
