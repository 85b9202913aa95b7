"""How many calls limiters over Redis let through in the worst second: ours beside the rivals.

Usage: python benchmarks/bench_limiter_accuracy.py [--quick] [--json FILE]

Eight processes (two with --quick) with ten callers each ask as often as they may for one limit of 100 a second.
An admission is stamped by its process when it comes; on a busy machine that is late by up to a tenth of a second, so
the clock of the callers shows up to a dozen too many also where the server was exact. Ours tell the server's instant
too, which decides.
"""

import argparse
import asyncio
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.support_accuracy import SUBJECTS

from mainspring.testing import ValkeyServer

RATE = 100
ROOT = Path(__file__).resolve().parent.parent


def worst_second(instants: list[float]) -> int:
    """Return the largest count in any half-open second; the server counts in microseconds."""
    ordered = sorted(round(instant * 1e6) for instant in instants)
    worst = first = 0
    for last, instant in enumerate(ordered):
        while ordered[first] <= instant - 1_000_000:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


async def measure(url: str, subject: str, processes: int, seconds: float) -> list[dict[str, object]]:
    """Run the processes of one subject; return what the table of `run.py` takes."""
    start = time.time() + 1.0 + processes * 0.5
    words = ("-m", "benchmarks.support_accuracy", url, subject, str(RATE), str(start), str(seconds))
    pipe = asyncio.subprocess.PIPE
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", *words, stdout=pipe, cwd=ROOT)
        for _ in range(processes)
    ]
    outputs = await asyncio.gather(*(child.communicate() for child in children))
    admitted = [(one[0], one[1]) for output, _ in outputs for one in json.loads(output)]
    row: dict[str, object] = {"subject": subject, "unit": "calls"}
    measures = [
        row | {"metric": f"admitted in {seconds:g} s at {RATE}/s", "value": len(admitted)},
        row | {"metric": "worst second, clock of the callers", "value": worst_second([at for at, _ in admitted])},
    ]
    if subject.startswith("ours"):
        worst = worst_second([at for _, at in admitted])
        target: dict[str, object] = {"target": f"<= {RATE}", "met": worst <= RATE}
        measures.append(row | {"metric": "worst second, clock of the server", "value": worst} | target)
    return measures


async def run(processes: int, seconds: float) -> list[dict[str, object]]:
    measures: list[dict[str, object]] = []
    with ValkeyServer() as server:
        for subject, module in SUBJECTS.items():
            if find_spec(module) is None:
                print(f"bench_limiter_accuracy: {module} is not installed, left out")
            else:
                measures += await measure(server.url, subject, processes, seconds)
    return measures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two processes for two seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    measures = asyncio.run(run(2, 2.0) if options.quick else run(8, 10.0))
    if options.json:
        options.json.write_text(json.dumps(measures))
    for measure in sorted(measures, key=lambda measure: str(measure["metric"])):
        print(f"{measure['metric']:38} {measure['subject']:26} {measure['value']:8}")


if __name__ == "__main__":
    main()
