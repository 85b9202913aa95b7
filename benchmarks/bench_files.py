"""What reading a file without blocking the loop costs, beside aiomisc.io, aiofiles and a plain file, in one run.

Usage: python benchmarks/bench_files.py [--quick] [--json FILE]

Every subject reads the same file in chunks of 64 KiB, the same text line by line, and writes the same lines
through gzip. "plain" does it in one blocking function. Subjects run in turn within each round; values are
medians. Rivals that are not installed are left out with a line.
"""

import argparse
import asyncio
import gzip
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any  # Any: rivals come without types

from mainspring.storage import Compression, async_open

Subject = Callable[[], Coroutine[Any, Any, int]]
CHUNK = 64 * 1024
MIB = 2**20


def rival(module: str) -> ModuleType | None:
    """Return a rival's module, or None after a line that says it is absent."""
    try:
        return import_module(module)
    except ImportError:
        print(f"bench_files: {module} is not installed, left out")
        return None


def chunk_readers(file: Path, aiomisc: Any, aiofiles: Any) -> dict[str, Subject]:
    async def read(opened: Any) -> int:
        size = 0
        async with opened as fp:
            while data := await fp.read(CHUNK):
                size += len(data)
        return size

    async def plain() -> int:
        size = 0
        with open(file, "rb") as fp:  # noqa: ASYNC230  # the limit
            while data := fp.read(CHUNK):
                size += len(data)
        return size

    found: dict[str, Subject] = {"plain": plain, "ours": lambda: read(async_open(file, "rb"))}
    if aiomisc:
        found["aiomisc.io"] = lambda: read(aiomisc.async_open(file, "rb"))
    if aiofiles:
        found["aiofiles"] = lambda: read(aiofiles.open(file, "rb"))
    return found


def line_readers(file: Path, aiomisc: Any, aiofiles: Any) -> dict[str, Subject]:
    async def read(opened: Any) -> int:
        count = 0
        async with opened as fp:
            async for _ in fp:
                count += 1
        return count

    async def plain() -> int:
        with open(file) as fp:  # noqa: ASYNC230  # the limit
            return sum(1 for _ in fp)

    found: dict[str, Subject] = {"plain": plain, "ours": lambda: read(async_open(file))}
    if aiomisc:
        found["aiomisc.io"] = lambda: read(aiomisc.async_open(file))
    if aiofiles:
        found["aiofiles"] = lambda: read(aiofiles.open(file))
    return found


def gzip_writers(file: Path, count: int, aiomisc: Any) -> dict[str, Subject]:
    async def write(opened: Any) -> int:
        async with opened as fp:
            for _ in range(count):
                await fp.write("Hello World\n")
        return count

    async def plain() -> int:
        with gzip.open(file, "wt") as fp:
            for _ in range(count):
                fp.write("Hello World\n")
        return count

    found: dict[str, Subject] = {
        "plain": plain,
        "ours": lambda: write(async_open(file, "w", compression=Compression.GZIP)),
    }
    if aiomisc:
        found["aiomisc.io"] = lambda: write(aiomisc.async_open(file, "w", compression=aiomisc.Compression.GZIP))
    return found


async def rounds_of(subjects: dict[str, Subject], rounds: int) -> dict[str, list[float]]:
    """Return what each subject did in a second, round by round."""
    rates: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            began = time.perf_counter()
            done = await subject()
            rates[name].append(done / (time.perf_counter() - began))
    return rates


def rows_of(metric: str, unit: str, scale: float, rates: dict[str, list[float]], at_least: float) -> list[Any]:
    rows: list[dict[str, object]] = []
    for name, values in rates.items():
        row: dict[str, object] = {"metric": metric, "subject": name, "value": statistics.median(values) / scale}
        row["unit"] = unit
        if name == "ours" and "aiomisc.io" in rates:
            ratio = statistics.median(ours / theirs for ours, theirs in zip(values, rates["aiomisc.io"], strict=True))
            row |= {"target": f">= {at_least:g} of aiomisc.io (is {ratio:.1f})", "met": ratio >= at_least}
        rows.append(row)
    return rows


async def measure(*, quick: bool) -> list[Any]:
    aiomisc, aiofiles = rival("aiomisc.io"), rival("aiofiles")
    rounds = 3 if quick else 7
    with tempfile.TemporaryDirectory() as name:
        big, text, packed = (Path(name, one) for one in ("big", "text", "packed"))
        big.write_bytes(os.urandom((16 if quick else 128) * MIB))
        text.write_text("".join(f"line {number} of some text\n" for number in range(10_000 if quick else 60_000)))
        chunks = await rounds_of(chunk_readers(big, aiomisc, aiofiles), rounds)
        lines = await rounds_of(line_readers(text, aiomisc, aiofiles), rounds)
        writes = await rounds_of(gzip_writers(packed, 5_000 if quick else 20_000, aiomisc), rounds)
    return [
        *rows_of("files, chunks of 64 KiB", "MiB/s", MIB, chunks, 4.0),
        *rows_of("files, async for line", "lines/s", 1.0, lines, 50.0),
        *rows_of("files, short writes to gzip", "writes/s", 1.0, writes, 4.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = asyncio.run(measure(quick=options.quick))
    for row in rows:
        print(f"{row['metric']:28} {row['subject']:12} {row['value']:12,.0f} {row['unit']:9} {row.get('target', '')}")
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
