"""What a program costs around its work: importing, starting and stopping services, ending on a signal.

Usage: python benchmarks/bench_runtime.py [--quick] [--json FILE]

Subjects of a case take turns within each round; a value is the median over the rounds, a ratio the median of
the ratios within the rounds. Imports (CPU time) and signals (wall time) are measured in child processes.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any  # Any: rivals come without types

from mainspring.runtime import Service, entrypoint

Measures = list[dict[str, object]]


class Trivial(Service):
    """Starts and stops at once."""

    async def start(self) -> None: ...

    async def stop(self, exception: Any = None) -> None: ...


def aiomisc_or_none() -> Any:
    """Return aiomisc, or None after a line that says it is absent."""
    try:
        return import_module("aiomisc")
    except ImportError:
        print("bench_runtime: aiomisc is not installed, left out")
        return None


def start_ours(count: int) -> None:
    with entrypoint(*(Trivial() for _ in range(count)), log_config=False, catch_signals=()):
        pass


def start_theirs(aiomisc: Any) -> Callable[[int], None]:
    async def nothing(self: object, *_: object) -> None: ...

    kind = type("Theirs", (aiomisc.Service,), {"start": nothing, "stop": nothing})

    def start(count: int) -> None:
        with aiomisc.entrypoint(*(kind() for _ in range(count)), log_config=False, catch_signals=()):
            pass

    return start


def task_groups(count: int) -> None:
    """Do the same by hand: one task for each start, one for each stop."""

    async def main() -> None:
        services = [Trivial() for _ in range(count)]
        async with asyncio.TaskGroup() as group:
            for one in services:
                group.create_task(one.start())
        async with asyncio.TaskGroup() as group:
            for one in services:
                group.create_task(one.stop())

    asyncio.run(main())


def measure(metric: str, subject: str, value: float, unit: str, at_most: float | None = None) -> dict[str, object]:
    row: dict[str, object] = {"metric": metric, "subject": subject, "value": value, "unit": unit}
    if at_most is not None:
        row |= {"target": f"<= {at_most:g} {unit}", "met": value <= at_most}
    return row


def start_and_stop(rounds: int) -> Measures:
    subjects: dict[str, Callable[[int], None]] = {"two TaskGroups": task_groups, "ours": start_ours}
    if aiomisc := aiomisc_or_none():
        subjects["aiomisc"] = start_theirs(aiomisc)
    measures: Measures = []
    for count in (1, 100, 1000):
        metric = f"start and stop, {count} service{'s' * (count > 1)}"
        seconds: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, start in subjects.items():
                began = time.perf_counter()
                start(count)
                seconds[name].append(time.perf_counter() - began)
        measures += [measure(metric, name, statistics.median(each) * 1e3, "ms") for name, each in seconds.items()]
        pairs = zip(seconds["ours"], seconds["two TaskGroups"], strict=True)
        ratio = statistics.median(ours / bare for ours, bare in pairs)
        measures.append(measure(metric, "ours / two TaskGroups", ratio, "x", 2.0 if count == 1000 else None))
    return measures


_IMPORT = """
import time
{before}
began = time.process_time()
{what}
print(time.process_time() - began)
"""


def import_seconds(what: str, before: str) -> float:
    """Import in a child that finds compiled modules, as an installed package has them; return its CPU time."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", _IMPORT.format(what=what, before=before)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def imports(rounds: int) -> Measures:
    cases: list[tuple[str, str, float | None]] = [
        ("import mainspring", "import asyncio", 15.0),
        ("from mainspring import entrypoint, Service; entrypoint, Service", "import asyncio", None),
        ("from mainspring.jobs import JobApp", "import asyncio", 60.0),
    ]
    if aiomisc_or_none():
        cases.append(("import aiomisc", "import asyncio", None))
    measures: Measures = []
    found: dict[str, list[float]] = {what: [] for what, _, _ in cases}
    for what, before, _ in cases:
        import_seconds(what, before)  # compiles what is not compiled
    for _ in range(rounds):
        for what, before, _ in cases:
            found[what].append(import_seconds(what, before))
    for what, _, target in cases:
        measures.append(
            measure("import, over asyncio", what.split(";")[0], statistics.median(found[what]) * 1e3, "ms", target)
        )
    return measures


_PROGRAM = """
import asyncio, sys
{imports}

class Idle(Service):
    async def start(self): ...
    async def stop(self, exception=None): ...

async def main():
    print("ready", flush=True)
    await asyncio.Event().wait()

with entrypoint(*(Idle() for _ in range(10)), log_format="plain", log_level="critical") as loop:
    loop.run_until_complete(main())
"""


def exit_seconds(imports: str) -> float:
    command = [sys.executable, "-c", _PROGRAM.format(imports=imports)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        guard = threading.Timer(30, child.kill)
        guard.start()
        began = time.perf_counter()
        child.send_signal(signal.SIGTERM)
        child.wait()  # without a time limit: with one it looks after 0.5, 1.5, 3.5, ... 31.5, 63.5 ms only
        seconds = time.perf_counter() - began
        guard.cancel()
        return seconds


def exits(rounds: int) -> Measures:
    subjects = {"ours": "from mainspring import Service, entrypoint"}
    if aiomisc_or_none():
        subjects["aiomisc"] = "from aiomisc import Service, entrypoint"
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, text in subjects.items():
            found[name].append(exit_seconds(text))
    targets = {"ours": 50.0}
    return [
        measure("SIGTERM to exit, 10 services", name, statistics.median(each) * 1e3, "ms", targets.get(name))
        for name, each in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    rounds = 5 if options.quick else 15
    measures = start_and_stop(rounds) + imports(rounds) + exits(rounds)
    if options.json:
        options.json.write_text(json.dumps(measures))
    for one in measures:
        verdict = {True: "met", False: "missed"}.get(bool(one["met"]), "") if "met" in one else ""
        line = f"{one['metric']:28} {one['subject']:46} {one['value']:8.2f} {one['unit']:3}"
        print(f"{line} {one.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
