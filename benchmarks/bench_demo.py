"""What the demo takes for its year of flights: seconds, the engine's part of them, and memory of the process tree.

Usage: python -m benchmarks.bench_demo [--quick] [--json FILE]

Runs `python -m mainspring.demo --once --json` on an empty directory and then once more, which answers from the
database. Memory is the proportional set size (PSS) of the demo and all its children, added up every 0.1 s; the value is
the highest sum of a run. The engine's seconds are the total less what the API's rate and downtime cost anybody. There
is no rival and no probe beside the API's own minimum. `--quick` loads 30 days; only its memory has a target then.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any  # Any: a library without types, and JSON

psutil: Any = import_module("psutil")
YEAR_DAYS, QUICK_DAYS = 365, 30
EXACT = {YEAR_DAYS: (8_760, 336_776, 365), QUICK_DAYS: (720, 26_076, 30)}  # intervals, flights, days
SAMPLE_SECONDS = 0.1
MOST_SECONDS, MOST_ENGINE_SECONDS, MOST_SECOND_RUN, MOST_MIB = 90.0, 10.0, 1.0, 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the demo."""

    report: dict[str, Any]  # Any: numbers, as its last line has them
    peak_mib: float
    samples: int


def pss_mib(process: Any) -> float:
    """Return the proportional set size of a process and all its descendants; one that just ended counts nothing."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += one.memory_full_info().pss
    return total / 2**20


def run_demo(state: Path, days: int) -> Run:
    """Run the demo to its end and watch it."""
    command = [sys.executable, "-m", "mainspring.demo", "--once", "--json", "--days", str(days), "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        process = psutil.Process(child.pid)
        peak, samples = 0.0, 0
        while child.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peak, samples = max(peak, pss_mib(process)), samples + 1
            time.sleep(SAMPLE_SECONDS)
        written = child.stdout.read() if child.stdout else b""
    if child.returncode != 0:
        raise SystemExit(f"bench: the demo ended with code {child.returncode}")
    return Run(json.loads(written.splitlines()[-1]), peak, samples)


def measure(days: int) -> list[dict[str, object]]:
    """Run the demo twice and return the rows that `run.py` reads."""
    with tempfile.TemporaryDirectory(prefix="bench-demo-") as folder:
        first = run_demo(Path(folder) / "state", days)
        second = run_demo(Path(folder) / "state", days)
    for one in (first, second):
        totals = (one.report["intervals"], one.report["flights"], one.report["days"])
        if totals != EXACT[days]:
            raise SystemExit(f"bench: the demo loaded {totals}, not {EXACT[days]}")
    whole = days == YEAR_DAYS
    return [
        row(f"{days} days", first.report["seconds"], "s", MOST_SECONDS if whole else None),
        row("engine beyond the API", first.report["engine_seconds"], "s", MOST_ENGINE_SECONDS if whole else None),
        row("runs", first.report["runs_per_second"], "runs/s", None),
        row("peak PSS of the tree", first.peak_mib, "MiB", MOST_MIB),
        row("complete run again", second.report["seconds"], "s", MOST_SECOND_RUN),
    ]


def row(metric: str, value: float, unit: str, most: float | None) -> dict[str, object]:
    """Return one row, with its target if it has one."""
    found: dict[str, object] = {"metric": metric, "subject": "mainspring demo", "value": round(value, 3), "unit": unit}
    return found if most is None else found | {"target": f"<= {most:g} {unit}", "met": value <= most}


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="30 days")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    rows = measure(QUICK_DAYS if options.quick else YEAR_DAYS)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    for one in rows:
        verdict = {True: "met", False: "missed"}.get(bool(one["met"]), "") if "met" in one else ""
        print(f"{one['metric']:24} {one['value']:10,.4g} {one['unit']:7} {one.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
