"""Run every benchmark of this folder and print one table of what was reached.

Usage: python benchmarks/run.py [--quick] [NAME ...]; one alone: python -m benchmarks.bench_NAME

A benchmark is a module `bench_NAME.py` that accepts `--quick` and `--json FILE`, measures mainspring beside
its rivals and the bare probe in one run, and writes a list of objects to FILE (see `Measure`). All results,
with what machine made them, end in `results/NAME.json`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
QUICK_SECONDS = 280.0
FULL_SECONDS_EACH = 1800.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One number: what `subject` reached in `metric`, and the target if there is one."""

    metric: str
    subject: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one benchmark script did."""

    name: str
    seconds: float
    measures: tuple[Measure, ...] = ()
    failure: str | None = None


def run_script(script: Path, *, quick: bool, limit_seconds: float) -> Outcome:
    """Run one benchmark in a process of its own and read its results."""
    name = script.stem.removeprefix("bench_")
    target = RESULTS / f"{name}.json"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{script.stem}", "--json", str(target)]
    command += ["--quick"] if quick else []
    began = time.monotonic()
    try:
        code = subprocess.run(command, cwd=HERE.parent, timeout=limit_seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return Outcome(name, limit_seconds, failure=f"stopped after {limit_seconds:.0f} s")
    seconds = time.monotonic() - began
    if code != 0:
        return Outcome(name, seconds, failure=f"exit code {code}")
    try:
        measures = tuple(Measure(**item) for item in json.loads(target.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        return Outcome(name, seconds, failure=f"no readable results: {error}")
    target.write_text(json.dumps(describe(quick, seconds, measures), indent=2) + "\n")
    return Outcome(name, seconds, measures)


def describe(quick: bool, seconds: float, measures: Sequence[Measure]) -> dict[str, object]:
    """Return what is kept of a run: the numbers and the machine that made them."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "quick": quick,
        "seconds": round(seconds, 1),
        "measures": [
            {field: getattr(measure, field) for field in Measure.__dataclass_fields__} for measure in measures
        ],
    }


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the results as lines of aligned columns."""
    rows = [("benchmark", "metric", "subject", "value", "target", "")]
    for outcome in outcomes:
        if outcome.failure is not None:
            rows.append((outcome.name, "", "", "", "", f"FAILED: {outcome.failure}"))
        for measure in outcome.measures:
            verdict = {True: "met", False: "missed", None: ""}[measure.met]
            value = f"{measure.value:,.4g} {measure.unit}"
            rows.append((outcome.name, measure.metric, measure.subject, value, measure.target, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 1 when a benchmark failed (a missed target is no failure)."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (bench_NAME.py)")
    parser.add_argument("--quick", action="store_true", help="smaller counts; all of them end within 5 minutes")
    options = parser.parse_args(arguments)
    scripts = sorted(HERE.glob("bench_*.py"))
    if options.names:
        scripts = [script for script in scripts if script.stem.removeprefix("bench_") in options.names]
    if not scripts:
        print("bench: no benchmark of that name", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    deadline = time.monotonic() + QUICK_SECONDS
    outcomes: list[Outcome] = []
    for script in scripts:
        limit = max(1.0, deadline - time.monotonic()) if options.quick else FULL_SECONDS_EACH
        print(f"bench: {script.stem} ...", flush=True)
        outcomes.append(run_script(script, quick=options.quick, limit_seconds=limit))
    print(table(outcomes))
    return 1 if any(outcome.failure for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
