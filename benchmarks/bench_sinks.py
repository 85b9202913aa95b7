"""What it costs to bring items to their sinks: rows into SQLite beside a bare executemany, and one emit.

Usage: python benchmarks/bench_sinks.py [--quick] [--json FILE]

Rows: one run of a job yields a million dicts (100 000 with --quick) into a table that replaces its interval. The
physical limit beside it inserts the same rows as ready tuples into a table with the same index, in one transaction
of a bare connection. Both run in a child process of their own, so that its peak of memory is theirs; three rounds,
medians. Emit: a sink that takes batches and has nothing to do, and a table, against a bare coroutine call.
"""

import argparse
import asyncio
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from mainspring.jobs import JobApp
from mainspring.sinks import Delivery, SinkRun, SinkSet, SqlTable

ROUNDS = 3
EMITS = 20_000
DAY = date(2013, 1, 1), date(2013, 1, 2)
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


def bare(folder: Path, count: int) -> None:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    names = [*row(0), "_job", "_interval_start"]
    connection.execute(f"CREATE TABLE flights({', '.join(names)})")
    connection.execute("CREATE INDEX flights_interval ON flights(_job, _interval_start)")
    sql = f"INSERT INTO flights VALUES ({', '.join('?' * len(names))})"
    connection.execute("BEGIN")
    connection.executemany(sql, ((*row(number).values(), "load", 0) for number in range(count)))
    connection.execute("COMMIT")
    connection.close()


async def ours(folder: Path, count: int) -> None:
    app = JobApp(store=folder / "jobs.db", durability="process")

    @app.job("load", cron="0 0 * * *", sink=SqlTable("flights", replace="interval"))
    async def load() -> AsyncGenerator[Row]:
        for number in range(count):
            yield row(number)

    await app.open()
    began = time.perf_counter(), time.process_time(), peak_bytes()
    done = await (await app.backfill(load, *DAY)).wait()
    report(began, count)
    assert done.succeeded == 1
    await app.close()


def report(began: tuple[float, float, int], count: int) -> None:
    """Print what a child did since `began`: rows per second, CPU per row in us, growth of its peak in MiB."""
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    print(json.dumps([count / seconds, cpu / count * 1e6, (peak_bytes() - began[2]) / 2**20]))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(subject: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if subject == "ours":
            asyncio.run(ours(Path(folder), count))
            return
        began = time.perf_counter(), time.process_time(), peak_bytes()
        bare(Path(folder), count)
        report(began, count)


def rows_measures(count: int) -> list[dict[str, object]]:
    """Run both subjects in turn, round by round."""
    found: dict[str, list[list[float]]] = {"bare executemany": [], "ours": []}
    for _ in range(ROUNDS):
        for subject, rounds in found.items():
            command = [sys.executable, __file__, "--child", subject.split()[0], "--count", str(count)]
            rounds.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    measures: list[dict[str, object]] = []
    for subject, rounds in found.items():
        rate, cpu, grown = (statistics.median(values) for values in zip(*rounds, strict=True))
        wanted = subject == "ours"
        for metric, value, unit, target, met in (
            ("rows into SQLite", rate, "rows/s", ">= 100000", rate >= 100_000),
            ("CPU per row", cpu, "us", "", None),
            ("peak of memory", grown, "MiB", "<= 100", grown <= 100),
        ):
            measure: dict[str, object] = {"metric": metric, "subject": subject, "value": value, "unit": unit}
            measures.append(measure | ({"target": target, "met": met} if wanted and target else {}))
    return measures


async def seconds_for(emit: Callable[[Row], Awaitable[None]]) -> float:
    item = row(1)
    began = time.perf_counter()
    for _ in range(EMITS):
        await emit(item)
    return (time.perf_counter() - began) / EMITS


async def emit_measures() -> list[dict[str, object]]:
    async def nothing(_: object) -> None:
        return None

    start = datetime(2013, 1, 1, tzinfo=UTC)
    run = SinkRun("run", "load", 1, 1, start, start, start + timedelta(hours=1))
    sinks = SinkSet()
    # Nothing waits: the queue is wide, and no batch gets full or old.
    sinks.add(nothing, types=[dict], delivery=Delivery(max_queue=10**9, max_queue_bytes=10**12, max_count=10**9))
    found: dict[str, list[float]] = {"bare coroutine": [], "ours, batches": [], "ours, table": []}
    for _ in range(3 * ROUNDS):
        found["bare coroutine"].append(await seconds_for(nothing))
        for subject, default in (("ours, batches", None), ("ours, table", SqlTable("t", replace="interval"))):
            session = sinks.session(run, default=default)
            found[subject].append(await seconds_for(session.emit))
            await session.discard()
    await sinks.close()
    measures: list[dict[str, object]] = []
    for subject, seconds in found.items():
        value = statistics.median(seconds) * 1e6
        measure: dict[str, object] = {"metric": "emit", "subject": subject, "value": value, "unit": "us"}
        measures.append(measure | ({"target": "<= 2", "met": value <= 2} if subject != "bare coroutine" else {}))
    return measures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.count)
        return
    measures = asyncio.run(emit_measures()) + rows_measures(100_000 if options.quick else 1_000_000)
    if options.json:
        options.json.write_text(json.dumps(measures))
    for measure in measures:
        verdict = {True: "met", False: "missed"}.get(bool(measure["met"]), "") if "met" in measure else ""
        line = f"{measure['metric']:18} {measure['subject']:18} {measure['value']:12,.2f} {measure['unit']:6}"
        print(f"{line} {measure.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
