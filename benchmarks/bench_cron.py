"""What the next fire of a cron expression costs, ours beside cronsim and croniter.

Usage: python benchmarks/bench_cron.py [--quick] [--json FILE]

Each subject is asked for the first fire after each of the same instants, with what a scheduler keeps parsed
kept parsed (cronsim and croniter hold their position in the parsed object, so a new start makes a new one). All
subjects of a case run in turn within each round; the value is the median over the rounds, and a ratio is the
median of the ratios within the rounds.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

from mainspring.base import CronExpression

EXPRESSIONS = ("0 * * * *", "*/5 * * * *", "30 2 * * *", "0 9 * * mon-fri", "0 0 L * *", "0 0 29 2 *")
ZONE = ZoneInfo("America/New_York")
START = datetime(2013, 1, 1, 5, 7, 11, tzinfo=UTC)
TARGET_US = 15.0
ROUNDS, QUICK_ROUNDS = 9, 5
CALLS, QUICK_CALLS = 300, 60


def starts(count: int) -> list[datetime]:
    """Return instants spread over two years."""
    return [START + timedelta(days=730) * number / count for number in range(count)]


def one_shot(expression: str, zone: tzinfo) -> dict[str, Callable[[list[datetime]], object]]:
    """Return each subject's way to find the first fire after an instant that it has not seen."""
    ours = CronExpression(expression)
    return {
        "mainspring": lambda instants: [ours.next(instant, zone) for instant in instants],
        "cronsim": lambda instants: [next(CronSim(expression, instant.astimezone(zone))) for instant in instants],
        "croniter": lambda instants: [
            croniter(expression, instant.astimezone(zone), ret_type=datetime).get_next() for instant in instants
        ],
    }


def walk(expression: str, zone: tzinfo) -> dict[str, Callable[[list[datetime]], object]]:
    """Return each subject's way to walk on from fire to fire, as many as there are instants."""
    ours = CronExpression(expression)

    def mainspring(instants: list[datetime]) -> None:
        fire: datetime | None = instants[0]
        for _ in instants:
            fire = ours.next(fire, zone) if fire else None

    def cronsim(instants: list[datetime]) -> None:
        walker = CronSim(expression, instants[0].astimezone(zone))
        for _ in instants:
            next(walker)

    def other(instants: list[datetime]) -> None:
        walker = croniter(expression, instants[0].astimezone(zone), ret_type=datetime)
        for _ in instants:
            walker.get_next()

    return {"mainspring": mainspring, "cronsim": cronsim, "croniter": other}


def measure(
    subjects: dict[str, Callable[[list[datetime]], object]], rounds: int, instants: list[datetime]
) -> dict[str, list[float]]:
    """Return microseconds per call of each subject, one number per round."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for call in subjects.values():
        call(instants[:2])  # warm up: caches of zones and of parsed expressions
    for _ in range(rounds):
        for name, call in subjects.items():
            begun = time.perf_counter()
            call(instants)
            found[name].append((time.perf_counter() - begun) / len(instants) * 1e6)
    return found


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rounds, calls = (QUICK_ROUNDS, QUICK_CALLS) if arguments.quick else (ROUNDS, CALLS)
    results: list[dict[str, object]] = []
    print(f"{'case':34}{'mainspring':>12}{'cronsim':>12}{'croniter':>12}   ratio to cronsim, croniter")
    for title, way in (("next", one_shot), ("walk", walk)):
        for expression in EXPRESSIONS:
            metric = f"cron {title} {expression}"
            # Rivals need up to a millisecond for rare dates, and a walk of them leaves the calendar.
            instants = starts(calls if expression != "0 0 29 2 *" else 20)
            found = measure(way(expression, ZONE), rounds, instants)
            medians = {name: statistics.median(values) for name, values in found.items()}
            ratios = {
                name: statistics.median(ours / theirs for ours, theirs in zip(found["mainspring"], values, strict=True))
                for name, values in found.items()
                if name != "mainspring"
            }
            shown = "".join(f"{medians[name]:>9.1f} us" for name in found)
            print(f"{metric:34}{shown}   {ratios['cronsim']:.3f}, {ratios['croniter']:.3f}")
            results += rows(metric, medians, ratios)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def rows(metric: str, medians: dict[str, float], ratios: dict[str, float]) -> list[dict[str, object]]:
    """Return the rows of one case in the form that `run.py` reads."""
    target, met = f"<= {TARGET_US:g} us", medians["mainspring"] <= TARGET_US
    found: list[dict[str, object]] = [
        {"metric": metric, "subject": "mainspring", "value": round(medians["mainspring"], 2), "unit": "us",
         "target": target, "met": met}
    ]  # fmt: skip
    for name, value in medians.items():
        if name != "mainspring":
            found.append({"metric": metric, "subject": name, "value": round(value, 2), "unit": "us"})
    for name, ratio in ratios.items():
        found.append({"metric": metric, "subject": f"mainspring / {name}", "value": round(ratio, 4), "unit": "x"})
    return found


if __name__ == "__main__":
    main()
