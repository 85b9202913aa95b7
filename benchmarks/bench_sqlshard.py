"""What storing and reading small values on disk costs, beside diskcache and bare SQLite, in one run.

Usage: python benchmarks/bench_sqlshard.py [--quick] [--json FILE]

Values are JSON of about 200 bytes under keys of three parts. "commit each" is what mutil's SQLShard does, said
with sqlite3 alone: one transaction that waits for the disk for each value, zlib and JSON. "bare" is one open
transaction of raw bytes and look-ups of raw bytes. Subjects run in turn within each round; values are medians.
diskcache is left out with a line when it is not installed.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any  # Any: rivals come without types

from mainspring.storage import AsyncSQLShard, SQLShard

Key = tuple[str, int, int]
Rates = dict[tuple[str, str], float]
"""Operations per second by metric and subject."""

VALUE = {"symbol": "ABCD", "prices": [101.25, 101.5, 101.75, 102.0], "volume": 1200, "notes": "x" * 110}


def rival(module: str) -> ModuleType | None:
    """Return a rival's module, or None after a line that says it is absent."""
    try:
        return import_module(module)
    except ImportError:
        print(f"bench_sqlshard: {module} is not installed, left out")
        return None


def rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def plain_sqlite(folder: Path, keys: list[Key], few: list[Key]) -> Rates:
    """The probe and what mutil does, on one file."""
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE db(a, b, c, data, PRIMARY KEY(a, b, c))")
    put, find = "INSERT OR REPLACE INTO db VALUES (?, ?, ?, ?)", "SELECT data FROM db WHERE a = ? AND b = ? AND c = ?"

    def each() -> None:
        for key in few:
            connection.execute(put, (*key, zlib.compress(json.dumps(VALUE).encode(), 1)))

    def read_each() -> None:
        for key in few:
            json.loads(zlib.decompress(connection.execute(find, key).fetchone()[0]))

    def together() -> None:
        connection.execute("BEGIN")
        raw = json.dumps(VALUE).encode()
        connection.executemany(put, [(*key, raw) for key in keys])
        connection.execute("COMMIT")

    def read_together() -> None:
        for key in keys:
            connection.execute(find, key).fetchone()

    rates = {
        ("sets", "commit each"): rate(len(few), each),
        ("gets", "commit each"): rate(len(few), read_each),
        ("sets", "bare"): rate(len(keys), together),
        ("gets", "bare"): rate(len(keys), read_together),
    }
    connection.close()
    return rates


def ours(folder: Path, keys: list[Key], few: list[Key]) -> Rates:
    with SQLShard(8, folder) as shard:

        def each() -> None:
            for key in few:
                shard[key] = VALUE

        def read_each() -> None:
            for key in few:
                shard[key]

        return {
            ("sets", "ours, one by one"): rate(len(few), each),
            ("gets", "ours, one by one"): rate(len(few), read_each),
            ("sets", "ours, update"): rate(len(keys), lambda: shard.update((key, VALUE) for key in keys)),
            ("gets", "ours, get_many"): rate(len(keys), lambda: shard.get_many(keys)),
        }


async def ours_async(folder: Path, keys: list[Key], few: list[Key]) -> Rates:
    async with AsyncSQLShard(8, folder) as shard:
        began = time.perf_counter()
        await asyncio.gather(*(shard.set(key, VALUE) for key in few))
        gathered = len(few) / (time.perf_counter() - began)
        began = time.perf_counter()
        await shard.set_many((key, VALUE) for key in keys)
        many = len(keys) / (time.perf_counter() - began)
        began = time.perf_counter()
        await shard.get_many(keys)
        read = len(keys) / (time.perf_counter() - began)
    return {
        ("sets", "ours, async, gathered"): gathered,
        ("sets", "ours, async, set_many"): many,
        ("gets", "ours, async, get_many"): read,
    }


def their_cache(module: Any, folder: Path, few: list[Key]) -> Rates:
    cache = module.Cache(str(folder))

    def each() -> None:
        for key in few:
            cache[key] = VALUE

    def read_each() -> None:
        for key in few:
            cache[key]

    rates = {("sets", "diskcache.Cache"): rate(len(few), each), ("gets", "diskcache.Cache"): rate(len(few), read_each)}
    cache.close()
    return rates


def one_round(count: int, diskcache: Any) -> Rates:
    keys = [(f"k{number % 97}", number, 0) for number in range(count)]
    few = keys[: count // 20]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rates = plain_sqlite(folder, keys, few) | ours(folder / "ours", keys, few)
        rates |= asyncio.run(ours_async(folder / "async", keys, few))
        if diskcache:
            rates |= their_cache(diskcache, folder / "diskcache", few)
    return rates


TARGETS = {
    ("sets", "ours, update"): ("commit each", 50.0),
    ("sets", "ours, async, set_many"): ("commit each", 50.0),
    # mutil reads 0.86 times as fast as diskcache.Cache: twice and eight times that
    ("gets", "ours, one by one"): ("diskcache.Cache", 1.72),
    ("gets", "ours, get_many"): ("diskcache.Cache", 6.88),
}


def rows_of(rounds: list[Rates]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for metric, subject in sorted(rounds[0]):
        value = statistics.median(one[metric, subject] for one in rounds)
        row: dict[str, object] = {"metric": f"SQLShard, {metric}", "subject": subject, "value": value, "unit": "1/s"}
        against, wanted = TARGETS.get((metric, subject), ("", 0.0))
        if (metric, against) in rounds[0]:
            ratio = statistics.median(one[metric, subject] / one[metric, against] for one in rounds)
            row |= {"target": f">= {wanted:g} of {against} (is {ratio:.1f})", "met": ratio >= wanted}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    diskcache = rival("diskcache")
    rounds = [one_round(4000 if options.quick else 20_000, diskcache) for _ in range(3 if options.quick else 5)]
    rows = rows_of(rounds)
    for row in rows:
        print(f"{row['metric']:16} {row['subject']:24} {row['value']:12,.0f} {row['unit']}  {row.get('target', '')}")
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
