"""What periodic callbacks cost: CPU per fire, lateness and memory, each subject in a process of its own.

Usage: python -m benchmarks.bench_periodic [--quick] [--json FILE]

Target: 100 000 callbacks at 10 s cost at most 15 us of CPU per fire, and 60 MiB over the bare program. With --quick the
rivals are measured with 10 000 callbacks only.
"""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any  # Any: rivals come without types

from benchmarks.support_rounds import limit, options, report

SUBJECTS = ("ours", "aiomisc", "task and sleep")
CASES = ((10_000, 1.0), (10_000, 5.0), (100_000, 10.0))  # callbacks and their interval
QUICK_CASES = (CASES[0], CASES[2])
QUICK_SECONDS = 1.0
QUICKLY_STARTED = 10_000  # rivals need many seconds for more
Start = Callable[[Callable[[int], Any], int, float, float], object]


def start_with(subject: str) -> Start:
    """Return what starts one callback: `start(function, number, interval, delay)`."""
    if subject == "task and sleep":

        def start(function: Callable[[int], Any], number: int, interval: float, delay: float) -> object:
            async def forever() -> None:
                await asyncio.sleep(delay)
                while True:
                    await function(number)
                    await asyncio.sleep(interval)

            return asyncio.get_running_loop().create_task(forever())

        return start
    room = import_module("mainspring.concurrency" if subject == "ours" else "aiomisc")
    callback: Any = room.PeriodicCallback

    def start_callback(function: Callable[[int], Any], number: int, interval: float, delay: float) -> object:
        periodic: Any = callback(function, number)
        periodic.start(interval, delay=delay)
        return periodic

    return start_callback


async def measure(subject: str, count: int, interval: float, seconds: float) -> dict[str, float]:
    """Run one subject in this process; return what it cost."""
    start = start_with(subject)
    loop = asyncio.get_running_loop()
    late: list[float] = []
    fires = 0
    bare = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    lead = 1.0 + count / 20_000  # seconds to set up all of them
    zero = loop.time() + lead

    async def fire(number: int) -> None:
        nonlocal fires
        fires += 1
        if fires % 16 == 0:  # sampled, so that the measure costs little
            late.append((loop.time() - zero - interval * number / count) % interval)

    began_at = loop.time()
    kept = [start(fire, n, interval, zero - loop.time() + interval * n / count) for n in range(count)]
    print(f"{subject}: {count} started in {loop.time() - began_at:.2f} s", file=sys.stderr)
    await asyncio.sleep(max(0.0, zero - loop.time()))
    late_start = interval if seconds > QUICK_SECONDS else 0.0  # what a rival may still need
    while not fires and loop.time() < zero + late_start:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)
    late.clear()
    fires_before, began = fires, time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - began
    return {
        "us": cpu / max(1, fires - fires_before) * 1e6,
        "fires": (fires - fires_before) / seconds,
        "late": statistics.quantiles(late or [0.0, 0.0], n=100)[98] * 1e3,
        "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - bare) / 1024,
        "kept": float(len(kept)),
    }


def in_own_process(subject: str, count: int, interval: float, seconds: float) -> dict[str, float] | None:
    """Run `measure` in a fresh process; None when the subject is not there."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_periodic",
        "--subject",
        subject,
        str(count),
        str(interval),
        str(seconds),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        print(f"left out: {subject} with {count}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    costs: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return costs


def main(quick: bool) -> list[dict[str, object]]:
    measures: list[dict[str, object]] = []
    for count, interval in QUICK_CASES if quick else CASES:
        for subject in SUBJECTS if count <= QUICKLY_STARTED or not quick else ("ours",):
            costs = in_own_process(subject, count, interval, QUICK_SECONDS if quick else 10.0)
            if costs is not None and not costs["fires"]:
                print(f"left out: {subject} with {count}: its first call had not come yet", flush=True)
                costs = None
            if costs is None:
                continue
            metric = f"{count:,} callbacks every {interval:g} s"
            units = {"us": "us/fire", "late": "ms late p99", "mib": "MiB", "fires": "fires/s"}
            rows: list[dict[str, object]] = [
                {"metric": metric, "subject": subject, "value": costs[key], "unit": unit} for key, unit in units.items()
            ]
            if subject == "ours" and count == 100_000:
                rows[0] = limit(metric, subject, costs["us"], units["us"], 15.0)
                rows[2] = limit(metric, subject, costs["mib"], units["mib"], 60.0)
            measures += rows
    return measures


if __name__ == "__main__":
    if sys.argv[1:2] == ["--subject"]:
        name, *numbers = sys.argv[2:]
        count, interval, seconds = map(float, numbers)
        print(json.dumps(asyncio.run(measure(name, int(count), interval, seconds))))
        sys.stdout.flush()
        os._exit(0)  # the rivals' tasks need no farewell
    chosen = options(__doc__)
    report(main(chosen.quick), chosen.json)
