"""What one recorded run costs: ours beside APScheduler 3 on SQLite, PgQueuer on PostgreSQL, and the bare probe.

Usage: python -m benchmarks.bench_jobs [--quick] [--json FILE]

The handler does nothing; a run is measured from its enqueue to its terminal record. All subjects of a round run in
turn; a value is the median over the rounds, and a ratio is the median of the ratios within the rounds. The probe
inserts, claims and finishes rows in shared transactions and does nothing else; the probe of a start is one durable
commit. PostgreSQL is a private server with its default settings, and its CPU time is in no figure. PgQueuer is measured
twice: enqueued by the hundred, which is its best, and with the work of ours, 200 callers of which each enqueues one.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import support_jobs as subjects
from benchmarks.support_jobs import Sample
from benchmarks.support_postgres import private_postgres

ROUNDS, QUICK_ROUNDS = 7, 3
RUNS, QUICK_RUNS = 8_000, 3_000
RIVAL_RUNS, QUICK_RIVAL_RUNS = 200, 40  # of APScheduler, which needs ten milliseconds or more for each
SINGLES = 100
CALLS = 1_000
FIRST_HANDLER = """
import asyncio, sys, time
from mainspring.jobs import JobApp

async def main():
    began = time.perf_counter()
    app = JobApp("bench", store="sqlite:///" + sys.argv[1], schedule=False)
    @app.job("noop")
    async def noop():
        print(time.perf_counter() - began)
    await app.run_job(noop)

asyncio.run(main())
"""
APSCHEDULER, PGQUEUER = "APScheduler 3, SQLite", "PgQueuer, PostgreSQL"
PGQUEUER_SINGLY = "PgQueuer one by one, PostgreSQL"
# Subject to (its probe, the least ratio to it, the most microseconds of CPU per run).
TARGETS = {
    "mainspring, disk": ("probe, disk", 0.2, 90.0),
    "mainspring, process": ("probe, process", 0.22, 90.0),
    "mainspring bulk, disk": ("probe, disk", 0.3, 60.0),
    "mainspring bulk, process": ("probe, process", 0.3, 60.0),
}
RIVAL_FACTOR = 2.0  # the least ratio to the best rival
MOST_P50, MOST_P99 = 1.0, 5.0  # milliseconds to the start, beside one commit at p50
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured; seconds."""

    samples: dict[str, Sample]
    commits: list[float]
    gathered: float
    first_handler: float


def measure(address: str, quick: bool) -> Round:
    """Measure every subject once, in turn."""
    runs = QUICK_RUNS if quick else RUNS
    samples: dict[str, Sample] = {}
    for level in subjects.LEVELS:
        samples[f"probe, {level}"] = subjects.probe(level, runs)
        samples[f"mainspring, {level}"] = asyncio.run(subjects.ours(level, runs, SINGLES))
        samples[f"mainspring bulk, {level}"] = asyncio.run(subjects.ours_bulk(level, runs))
    rival_runs, singles = (QUICK_RIVAL_RUNS, 10) if quick else (RIVAL_RUNS, 50)
    samples[APSCHEDULER] = asyncio.run(subjects.apscheduler(rival_runs, singles))
    samples[PGQUEUER] = asyncio.run(subjects.pgqueuer(address, runs, SINGLES))
    samples[PGQUEUER_SINGLY] = asyncio.run(subjects.pgqueuer_singly(address, runs // 4))
    return Round(
        samples,
        commits=subjects.probe_commit(SINGLES),
        gathered=asyncio.run(subjects.gathered(CALLS)),
        first_handler=first_handler(),
    )


def first_handler() -> float:
    """Return the seconds from making an app, in a fresh process, to its first handler."""
    with subjects.folder() as folder:
        command = [sys.executable, "-c", FIRST_HANDLER, str(folder / "jobs.db")]
        return float(subprocess.run(command, capture_output=True, check=True).stdout)


def row(metric: str, subject: str, value: float, unit: str, *, least: float = 0.0, most: float = 0.0) -> Row:
    """Return a row as `run.py` reads it, with its target if it has one."""
    found: Row = {"metric": metric, "subject": subject, "value": round(value, 4), "unit": unit}
    if least or most:
        found["target"] = f">= {least:g} {unit}" if least else f"<= {most:g} {unit}"
        found["met"] = value >= least if least else value <= most
    return found


def throughput_rows(rounds: Sequence[Round]) -> list[Row]:
    """Return runs per second and CPU of each subject, and the ratios to probe and best rival."""
    rates = {name: [one.samples[name].runs_per_second for one in rounds] for name in rounds[0].samples}
    rows = [row("durable runs", name, statistics.median(values), "runs/s") for name, values in rates.items()]
    best = max((APSCHEDULER, PGQUEUER), key=lambda name: statistics.median(rates[name]))
    for name, (probe, least, _) in TARGETS.items():
        rows.append(row("durable runs", f"{name} / probe", ratio(rates[name], rates[probe]), "x", least=least))
        rivals = (best,) if "bulk" in name else (best, PGQUEUER_SINGLY)  # the best, and one with the same work
        for rival in rivals:
            factor = ratio(rates[name], rates[rival])
            rows.append(row("durable runs", f"{name} / {rival}", factor, "x", least=RIVAL_FACTOR))
    for name in rates:
        cpu = statistics.median(one.samples[name].cpu_us for one in rounds)
        rows.append(row("CPU per run", name, cpu, "us", most=TARGETS[name][2] if name in TARGETS else 0.0))
    return rows


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def start_rows(rounds: Sequence[Round]) -> list[Row]:
    """Return how long an idle subject takes from the enqueue to the start of the handler."""
    commit = statistics.median(value for one in rounds for value in one.commits) * 1e3
    rows = [row("one durable commit", "probe", commit, "ms")]
    for name in ("mainspring, disk", "mainspring, process", APSCHEDULER, PGQUEUER):
        delays = sorted(value * 1e3 for one in rounds for value in one.samples[name].delays)
        ours = name.startswith("mainspring")
        most = MOST_P50 + (commit if name == "mainspring, disk" else 0.0)
        rows.append(row("enqueue to start, p50", name, statistics.median(delays), "ms", most=most if ours else 0.0))
        p99 = delays[len(delays) * 99 // 100]
        rows.append(row("enqueue to start, p99", name, p99, "ms", most=MOST_P99 if ours else 0.0))
    return rows


def other_rows(rounds: Sequence[Round]) -> list[Row]:
    """Return what is measured of ours alone."""
    together = statistics.median(one.gathered for one in rounds)
    first = statistics.median(one.first_handler for one in rounds)
    return [
        row(f"{CALLS} concurrent run_job", "mainspring, disk", together, "s", most=0.25),
        row("app to first handler", "mainspring, disk", first, "s", most=0.3),
    ]


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs and rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    options = parser.parse_args()
    began = time.monotonic()
    with private_postgres() as address:
        rounds = [measure(address, options.quick) for _ in range(QUICK_ROUNDS if options.quick else ROUNDS)]
    rows = [*throughput_rows(rounds), *start_rows(rounds), *other_rows(rounds)]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    for one in rows:
        verdict = {True: "met", False: "missed"}.get(bool(one["met"]), "") if "met" in one else ""
        line = f"{one['metric']:24} {one['subject']:48} {one['value']:12,.4g} {one['unit']:6}"
        print(f"{line} {one.get('target', '')} {verdict}".rstrip())
    print(f"{len(rounds)} rounds, {subjects.IN_FLIGHT} in flight, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
