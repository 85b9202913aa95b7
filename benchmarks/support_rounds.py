"""What the benchmarks of concurrency share: interleaved rounds, medians of ratios, and the table `run.py` takes.

Every subject of a case runs once per round, in turn; each round begins with another one. The value is the median
over the rounds; a ratio is the median of the ratios within the rounds, so that what else the machine does hits both
sides.
"""

import argparse
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any  # Any: rivals come without types

Run = Callable[[], Awaitable[float]]
"""One round of a subject; returns how many operations it did."""


@dataclass(slots=True)
class Case:
    """One thing to compare."""

    metric: str
    unit: str
    against: str
    target: float
    """Ours is to be at least so many times as fast as `against`."""
    by_cpu: bool = True
    """Whether the ratio is that of the CPU time of this process, threads included: it minds no other program."""
    subjects: dict[str, Run] = field(default_factory=dict[str, Run])


def rival(module: str) -> Any:
    """Return a rival's module, or None after a line that says it is absent."""
    try:
        return import_module(module)
    except ImportError as error:
        print(f"left out: {module} ({error})", flush=True)
        return None


async def run_case(case: Case, rounds: int) -> list[dict[str, object]]:
    """Run the case; return measures. A subject that fails is left out with a line."""
    values: dict[str, list[float]] = {name: [] for name in case.subjects}
    cpu: dict[str, list[float]] = {name: [] for name in case.subjects}
    for number in range(rounds + 1):
        for name, run in _turns(case.subjects, number):
            began, began_cpu = time.perf_counter(), time.process_time()
            try:
                got = await run()
            except Exception as error:  # noqa: BLE001  # supervisor: a rival's failure is a result
                print(f"{case.metric}: {name} failed: {type(error).__name__}: {error}", flush=True)
                del case.subjects[name], values[name], cpu[name]
                continue
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
            if number:  # the first round warms up
                values[name].append(got / seconds)
                cpu[name].append(cpu_seconds / got * 1e6)
    return _measures(case, values, cpu)


def _turns(subjects: dict[str, Run], number: int) -> list[tuple[str, Run]]:
    """Return the subjects in the order of a round: who goes first pays for what the round before has left."""
    turns = list(subjects.items())
    first = number % len(turns)
    return turns[first:] + turns[:first]


def _measures(case: Case, values: dict[str, list[float]], cpu: dict[str, list[float]]) -> list[dict[str, object]]:
    measures: list[dict[str, object]] = []
    for name, each in values.items():
        rate, cost = statistics.median(each), statistics.median(cpu[name])
        measures.append({"metric": case.metric, "subject": name, "value": rate, "unit": case.unit})
        subject = f"{name}, CPU of this process"
        measures.append({"metric": case.metric, "subject": subject, "value": cost, "unit": "us"})
    if case.against in values:
        measures.append(_ratio(case, values, cpu))
    return measures


def _ratio(case: Case, values: dict[str, list[float]], cpu: dict[str, list[float]]) -> dict[str, object]:
    theirs, ours = (cpu[case.against], cpu["ours"]) if case.by_cpu else (values["ours"], values[case.against])
    ratio = statistics.median(one / other for one, other in zip(theirs, ours, strict=True))
    return {
        "metric": case.metric,
        "subject": f"ours / {case.against}{', by CPU' * case.by_cpu}",
        "value": ratio,
        "unit": "x",
        "target": f">= {case.target:g} x",
        "met": ratio >= case.target,
    }


def limit(metric: str, subject: str, value: float, unit: str, at_most: float) -> dict[str, object]:
    """Return a measure with a bound of its own."""
    return {
        "metric": metric,
        "subject": subject,
        "value": value,
        "unit": unit,
        "target": f"<= {at_most:g} {unit}",
        "met": value <= at_most,
    }


def options(description: str | None) -> argparse.Namespace:
    """Parse what every benchmark accepts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller counts and fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    return parser.parse_args()


def report(measures: list[dict[str, object]], target: Path | None) -> None:
    """Print the measures, and write them for `run.py`."""
    if target:
        target.write_text(json.dumps(measures))
    for measure in measures:
        verdict = {True: "met", False: "missed"}.get(bool(measure["met"]), "") if "met" in measure else ""
        line = f"{measure['metric']:34} {measure['subject']:42} {measure['value']:12,.2f} {measure['unit']:8}"
        print(f"{line} {measure.get('target', '')} {verdict}".rstrip())


__all__ = ["Case", "Run", "limit", "options", "report", "rival", "run_case"]
