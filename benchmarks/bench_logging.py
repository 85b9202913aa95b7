"""What a log call costs its caller, at different rates and while the sink hangs, and how much gets through.

Usage: python benchmarks/bench_logging.py [--quick] [--json FILE]

Every subject logs "record %d of %s" to a file through a logger of its own, in a process of its own; the bare
probe is a logger with a NullHandler. The calls of a case are spread evenly over time at the given rate. A case
runs in three rounds and the quietest one counts, since the scheduler of a busy machine stops whoever runs: what
it does to the bare probe is shown beside each figure.
"""

import argparse
import json
import logging
import logging.handlers
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO  # Any: rivals come without types

from mainspring.runtime import BufferedHandler, LogFormat, log_handler

Log = Callable[[int], object]
ROUNDS = 3
FORMAT = logging.Formatter("%(asctime)s %(levelname)s:%(name)s: %(message)s")


@dataclass(frozen=True, slots=True)
class Subject:
    """One way to log: the call, and what waits until everything is written."""

    call: Log
    finish: Callable[[], object]


def of_handler(handler: logging.Handler, finish: Callable[[], object] = lambda: None) -> Subject:
    logger = logging.Logger("bench", logging.INFO)
    logger.addHandler(handler)
    return Subject(lambda number: logger.info("record %d of %s", number, "many"), finish)


def bare(stream: TextIO) -> Subject:
    return of_handler(logging.NullHandler())


def ours(stream: TextIO) -> Subject:
    target = log_handler(LogFormat.stream, "%Y-%m-%d %H:%M:%S", stream)
    handler = BufferedHandler(target, buffer_size=1 << 20)
    return of_handler(handler, lambda: handler.drain(60))


def stdlib_stream(stream: TextIO) -> Subject:
    target = logging.StreamHandler(stream)
    target.setFormatter(FORMAT)
    return of_handler(target)


def queue_handler(stream: TextIO) -> Subject:
    target = logging.StreamHandler(stream)
    target.setFormatter(FORMAT)
    waiting: queue.Queue[Any] = queue.Queue()
    listener = logging.handlers.QueueListener(waiting, target)
    listener.start()
    return of_handler(logging.handlers.QueueHandler(waiting), listener.stop)


def aiomisc_threaded(stream: TextIO) -> Subject:
    log = import_module("aiomisc.log")
    target = logging.StreamHandler(stream)
    target.setFormatter(FORMAT)
    handler = log.ThreadedHandler(target, flush_interval=0.2, buffered=True)
    handler.start()
    return of_handler(handler, handler.close)


def structlog_lines(stream: TextIO) -> Subject:
    structlog = import_module("structlog")
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S"),
            structlog.processors.LogfmtRenderer(),
        ],
    )
    return Subject(lambda number: logger.info("record", number=number, of="many"), lambda: None)


def loguru_enqueue(stream: TextIO) -> Subject:
    logger = import_module("loguru").logger
    logger.remove()
    logger.add(stream, enqueue=True, format="{time} {level}:{name}: {message}")
    return Subject(lambda number: logger.info("record {} of {}", number, "many"), logger.complete)  # noqa: PLE1205


SUBJECTS: dict[str, tuple[Callable[[TextIO], Subject], str | None]] = {
    "NullHandler": (bare, None),
    "ours": (ours, None),
    "StreamHandler": (stdlib_stream, None),
    "QueueHandler": (queue_handler, None),
    "aiomisc": (aiomisc_threaded, "aiomisc"),
    "structlog": (structlog_lines, "structlog"),
    "loguru, enqueue": (loguru_enqueue, "loguru"),
}


class HangingFile:
    """A sink that writes nothing until it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def write(self, text: str) -> int:
        self.open.wait(30)
        return len(text)

    def flush(self) -> None: ...


def paced(call: Log, *, rate: float, count: int) -> list[float]:
    """Call at an even rate; return the seconds of each call, sorted."""
    seconds: list[float] = []
    due = time.perf_counter()
    for number in range(count):
        while (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
        due = max(due + 1 / rate, began)
    return sorted(seconds)


def quietest(call: Log, *, rate: float, count: int) -> list[float]:
    """Return the calls of the round with the least 99th percentile, sorted."""
    rounds = [paced(call, rate=rate, count=count) for _ in range(ROUNDS)]
    return min(rounds, key=lambda seconds: seconds[int(count * 0.99)])


def run_subject(name: str, quick: bool) -> dict[str, float]:
    """Run all cases of one subject, in this process."""
    make, _ = SUBJECTS[name]
    found: dict[str, float] = {}
    with tempfile.TemporaryFile("w") as stream:
        subject = make(stream)
        for rate, count in ((50, 15 if quick else 250), (10_000, 2_500 if quick else 50_000)):
            paced(subject.call, rate=rate, count=count // 10)
            seconds = quietest(subject.call, rate=rate, count=count)
            found[f"p50 {rate}/s"] = seconds[count // 2] * 1e6
            found[f"p99 {rate}/s"] = seconds[int(count * 0.99)] * 1e6
            found[f"max {rate}/s"] = seconds[-1] * 1e6
        count = 20_000 if quick else 100_000
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            subject.call(number)
        found["caller"] = (time.perf_counter() - began) / count * 1e6
        subject.finish()
        found["through"] = count / (time.perf_counter() - began)
        found["cpu"] = (time.process_time() - cpu) / count * 1e6
    return found


def hang(quick: bool) -> dict[str, float]:
    """Log while the sink hangs: the worst calls, beside those of the bare probe in the same process, and the drops."""
    sink: Any = HangingFile()
    handler = BufferedHandler(log_handler(LogFormat.plain, stream=sink), buffer_size=1024, flush_interval=0.01)
    subject, probe = of_handler(handler), of_handler(logging.NullHandler())
    subject.call(0)
    count = 4_000 if quick else 100_000
    seconds = quietest(subject.call, rate=10_000, count=count)
    dropped = handler.dropped_count
    bare_seconds = quietest(probe.call, rate=10_000, count=count)
    sink.open.set()
    handler.close()
    found = {"dropped": float(dropped), "p99": seconds[int(count * 0.99)] * 1e6}
    for name, each in (("ours", seconds), ("bare", bare_seconds)):
        found[f"max {name}"] = each[-1] * 1e6
        found[f"late {name}"] = sum(1 for one in each if one > 1e-3)
    return found


def in_child(name: str, quick: bool) -> dict[str, float] | None:
    module = SUBJECTS[name][1] if name in SUBJECTS else None
    if module is not None:
        try:
            import_module(module)
        except ImportError:
            print(f"bench_logging: {module} is not installed, left out")
            return None
    command = [sys.executable, os.path.abspath(__file__), "--subject", name, *(["--quick"] if quick else [])]
    answer: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answer


def compare(quick: bool) -> list[dict[str, object]]:
    results = {name: found for name in SUBJECTS if (found := in_child(name, quick)) is not None}
    measures: list[dict[str, object]] = []

    def add(metric: str, subject: str, value: float, unit: str, **target: object) -> None:
        measures.append({"metric": metric, "subject": subject, "value": value, "unit": unit, **target})

    for name, found in results.items():
        for rate in (50, 10_000):
            for part in ("p50", "p99", "max"):
                add(f"log call at {rate}/s, {part}", name, found[f"{part} {rate}/s"], "us")
        add("log call, flat out", name, found["caller"], "us")
        add("CPU per record, flat out", name, found["cpu"], "us")
        add("records through, flat out", name, found["through"], "1/s")
    for rate in (50, 10_000):
        ratio = results["ours"][f"p99 {rate}/s"] / results["NullHandler"][f"p99 {rate}/s"]
        add(f"log call at {rate}/s, p99", "ours / NullHandler", ratio, "x", target="<= 1.5 x", met=ratio <= 1.5)
    hung = in_child("hang", quick) or {}
    hanging = "while the sink hangs"
    add(f"log call {hanging}, p99", "ours", hung["p99"], "us")
    worst = hung["max ours"]
    add(f"log call {hanging}, max", "ours", worst, "us", target="<= 1000 us", met=worst <= 1000)
    add(f"log call {hanging}, max", "NullHandler", hung["max bare"], "us")
    add(f"calls above 1 ms {hanging}", "ours", hung["late ours"], "")
    add(f"calls above 1 ms {hanging}", "NullHandler", hung["late bare"], "")
    add(f"records dropped and counted {hanging}", "ours", hung["dropped"], "")
    return measures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measures there")
    parser.add_argument("--subject", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.subject is not None:
        found = hang(options.quick) if options.subject == "hang" else run_subject(options.subject, options.quick)
        sys.stdout.write(json.dumps(found))
        return
    measures = compare(options.quick)
    if options.json:
        options.json.write_text(json.dumps(measures))
    for one in measures:
        verdict = {True: "met", False: "missed"}.get(bool(one["met"]), "") if "met" in one else ""
        line = f"{one['metric']:48} {one['subject']:20} {one['value']:12.2f} {one['unit']:3}"
        print(f"{line} {one.get('target', '')} {verdict}".rstrip())


if __name__ == "__main__":
    main()
