"""What many jobs and runs cost: ten thousand jobs on one minute, a hundred thousand waiting, a million to claim.

Usage: python -m benchmarks.bench_job_scale [--quick] [--json FILE]

Each subject has a process of its own on a SQLite file of its own, level `process`. With --quick there are fewer runs,
and the jobs fire every 12 s: what the burst costs is then set against a minute, as it is without.

Burst: handlers that do nothing; lateness is from the fire time to the handler. Enqueued: memory of the process after
`run_job(wait=False)`, none of which may start. Kill: from `kill -9` of the process that runs a handler to the start of
the handler elsewhere: in another process on the same store, which was there before, or which is started then.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mainspring.base import current_random, new_id
from mainspring.jobs import JobApp
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, Enqueue, Finish, JobStore, NewRun, RunKind, RunRecord, SqliteStore

# By whether it is to be quick.
JOBS: Final = {False: 10_000, True: 2_000}
PERIOD: Final = {False: 60.0, True: 8.0}
RUNS: Final = {False: 100_000, True: 20_000}
WAITING: Final = {False: 1_000_000, True: 100_000}
FEW: Final = 1_000
CLAIMS: Final = 200
PAGE = os.sysconf("SC_PAGE_SIZE")
Row = dict[str, object]
Child = Callable[[Path, bool], Coroutine[Any, Any, dict[str, float]]]


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def burst(folder: Path, quick: bool) -> dict[str, float]:
    """Let many jobs fire together twice; return what the second time and the quiet before it cost."""
    jobs, period = JOBS[quick], PERIOD[quick]
    app = JobApp("bench", store=folder / "jobs.db", durability="process")
    late: list[float] = []
    ended = asyncio.Event()

    async def noop(scheduled_time: datetime) -> None:
        late.append(time.time() - scheduled_time.timestamp())
        if len(late) == jobs:
            ended.set()

    for number in range(jobs):
        app.job(f"job-{number}", every=period)(noop)
    began = time.perf_counter()
    await app.start()
    opened = time.perf_counter() - began
    await ended.wait()  # the first time, with what is made once
    await asyncio.sleep(2.0)
    quiet = period - time.time() % period - 1.0
    quiet_cpu = time.process_time()
    await asyncio.sleep(max(1.0, quiet))
    quiet_rate = (time.process_time() - quiet_cpu) / max(1.0, quiet)
    late.clear()
    ended.clear()
    cpu = time.process_time()
    await ended.wait()
    await asyncio.sleep(1.0)  # ends are written, cursors moved
    cpu = time.process_time() - cpu
    await app.stop()
    late.sort()
    share = (cpu * 10_000 / jobs + quiet_rate * 58.0) / 60.0
    return {"share": share * 100, "p99": late[len(late) * 99 // 100], "opened": opened, "quiet": quiet_rate * 100}


async def idle(folder: Path, quick: bool) -> dict[str, float]:
    """Keep many jobs of which none is due."""
    app = JobApp("bench", store=folder / "jobs.db", durability="process")

    async def noop() -> None: ...

    for number in range(JOBS[quick]):
        app.job(f"job-{number}", cron="0 0 1 1 *")(noop)
    await app.start()
    await asyncio.sleep(1.0)
    seconds = 3.0 if quick else 30.0
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    await app.stop()
    return {"share": cpu / seconds * 100}


async def enqueued(folder: Path, quick: bool) -> dict[str, float]:
    """Enqueue runs that nobody takes."""
    runs = RUNS[quick]
    app = JobApp("bench", store=folder / "jobs.db", durability="process", queues=("none",), schedule=False)

    @app.job("noop")
    async def noop() -> None: ...

    async def some(count: int) -> None:
        for _ in range(0, count, 500):
            await asyncio.gather(*(app.run_job(noop, wait=False) for _ in range(500)))

    await app.open()
    await some(2_000)
    held = resident()
    began = time.perf_counter()
    await some(runs)
    seconds, grown = time.perf_counter() - began, resident() - held
    await app.close()
    return {"bytes": max(0, grown) / runs, "rate": runs / seconds}


async def claims(folder: Path, quick: bool) -> dict[str, float]:
    """Claim from few waiting runs and from many, in turn."""
    stores = [SqliteStore(folder / f"{name}.db", durability="process") for name in ("few", "many")]
    for store, count in zip(stores, (FEW, WAITING[quick]), strict=True):
        await store.open()
        await fill(store, count)
    epochs = [await store.open_node("bench") for store in stores]
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(CLAIMS):
        for store, epoch, seconds in zip(stores, epochs, found, strict=True):
            seconds.append(await claiming(store, epoch))
    for store in stores:
        await store.close()
    few, many = map(statistics.median, found)
    return {"few": few, "many": many, "ratio": many / few}


async def fill(store: JobStore, count: int) -> None:
    while count > 0:
        size = min(count, 2_000)
        await store.enqueue_many([Enqueue(run=new_run(store, number % 20)) for number in range(size)])
        count -= size


def new_run(store: JobStore, number: int) -> NewRun:
    return NewRun(run_id=new_id(), job_id=f"job-{number}", kind=RunKind.MANUAL, available_at=store.now())


async def claiming(store: JobStore, epoch: int) -> float:
    """Return the seconds of a claim of ten runs; as many are enqueued again."""
    command = Claim(epoch=epoch, limit=10, jobs=frozenset(f"job-{number}" for number in range(20)))
    began = time.perf_counter()
    answer = await store.claim(command)
    seconds = time.perf_counter() - began
    await asyncio.gather(*(store.finish(ended(record)) for record in answer.runs))
    await fill(store, len(answer.runs))
    return seconds


def ended(record: RunRecord) -> Finish:
    return Finish(
        run_id=record.run_id,
        epoch=record.epoch or 0,
        fence=record.fence,
        attempt=record.attempt,
        state=RunState.SUCCEEDED,
        finished_at=record.started_at or 0,
    )


async def node(folder: Path, quick: bool) -> dict[str, float]:
    """Run `hang`, which says when it starts; a process for the measurement of a kill."""
    app = JobApp("bench", store=folder / "jobs.db", durability="process", schedule=False)

    @app.job("hang")
    async def hang() -> None:
        print(json.dumps({"began": time.time()}), flush=True)
        await asyncio.Event().wait()

    await app.open()
    print("ready", flush=True)
    if quick:  # the one that begins
        await app.run_job(hang)
    await asyncio.Event().wait()
    return {}


CHILDREN: Final[dict[str, Child]] = {
    "burst": burst,
    "idle": idle,
    "enqueued": enqueued,
    "claims": claims,
    "node": node,
}


def start(name: str, folder: Path, quick: bool) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.bench_job_scale", "--child", name, "--folder", str(folder)]
    command += ["--quick"] if quick else []
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measured(name: str, quick: bool) -> dict[str, float]:
    """Measure in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder, start(name, Path(folder), quick) as child:
        out, _ = child.communicate()
        if child.returncode:
            raise RuntimeError(f"{name} ended with {child.returncode}")
        return dict(json.loads(out.splitlines()[-1]))


def killed(*, waiting: bool) -> float:
    """Return the seconds from kill -9 to the handler elsewhere."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        first = start("node", folder, quick=True)
        lines(first, 2)
        heir = start("node", folder, quick=False) if waiting else None
        if heir is not None:
            lines(heir, 1)
            time.sleep(current_random().uniform(0.5, 2.5))  # at any moment between two heartbeats
        at = time.time()
        first.send_signal(signal.SIGKILL)
        first.communicate()
        heir = heir or start("node", folder, quick=False)
        began = float(json.loads(lines(heir, 1 if waiting else 2)[-1])["began"])
        heir.kill()
        heir.communicate()
        return began - at


def lines(child: "subprocess.Popen[str]", count: int) -> Sequence[str]:
    if child.stdout is None:
        raise RuntimeError("the child says nothing")
    found = [child.stdout.readline() for _ in range(count)]
    return sorted(found, key=lambda line: line != "ready\n")


def row(metric: str, subject: str, value: float, unit: str, most: float = 0.0) -> Row:
    """Return a row as `run.py` reads it, with its target if it has one."""
    found: Row = {"metric": metric, "subject": subject, "value": round(value, 4), "unit": unit}
    return found | ({"target": f"<= {most:g} {unit}", "met": value <= most} if most else {})


def rows(quick: bool) -> list[Row]:
    """Measure everything, one after the other."""
    fired, quiet, memory, claimed = (measured(name, quick) for name in ("burst", "idle", "enqueued", "claims"))
    kills = 1 if quick else 7
    jobs = f"mainspring, {JOBS[quick]:,} jobs"
    runs = f"mainspring, {RUNS[quick]:,} runs"
    waiting = f"mainspring, {WAITING[quick]:,} waiting"
    return [
        row("each minute, core", f"{jobs}, as of 10,000", fired["share"], "%", 3.0),
        row("each minute, lateness p99", jobs, fired["p99"], "s", 2.0),
        row("opening their app", jobs, fired["opened"], "s"),
        row("none due, core", jobs, quiet["share"], "%", 0.5),
        row("wait=False, memory of each", runs, memory["bytes"], "bytes", 1024.0),
        row("wait=False", runs, memory["rate"], "runs/s"),
        row("a claim of 10", "mainspring, 1,000 waiting", claimed["few"] * 1e3, "ms"),
        row("a claim of 10", waiting, claimed["many"] * 1e3, "ms"),
        row("a claim of 10", f"{waiting} / 1,000", claimed["ratio"], "x", 1.2),
        row("kill -9 to restart", "mainspring, another starts", median_kill(kills, waiting=False), "s", 1.0),
        row("kill -9 to restart", "mainspring, another was there", median_kill(kills, waiting=True), "s", 1.0),
    ]


def median_kill(times: int, *, waiting: bool) -> float:
    return statistics.median(killed(waiting=waiting) for _ in range(times))


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer jobs and runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    parser.add_argument("--child", choices=sorted(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(asyncio.run(CHILDREN[options.child](options.folder, options.quick))))
        return
    found = rows(options.quick)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    for one in found:
        verdict = {True: "met", False: "missed"}.get(bool(one["met"]), "") if "met" in one else ""
        line = f"{one['metric']:28} {one['subject']:42} {one['value']:12,.4g} {one['unit']:6}"
        print(f"{line} {one.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
