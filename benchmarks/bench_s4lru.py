"""What an access of a cache's bookkeeping costs and how often it hits, beside other caches, in one run.

Usage: python benchmarks/bench_s4lru.py [--quick] [--json FILE]

Every subject replays the same Zipf trace (universe 100 000, exponent 1, room for 500) as get-or-set: what is
not there is inserted, what no longer fits is evicted. The bare probe is four OrderedDicts and a dict in one
function without sizes or counters. Subjects run in turn within each round; values are medians of the rounds. Rates
are by processor time: nothing here waits, but for the disk under "with its file", whose waiting is not counted.
Rivals that are not installed are left out with a line.
"""

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any  # Any: rivals come without types

from mainspring.storage import S4LRU, SegmentedLRU

Trace = Sequence[str]
Replay = Callable[[Trace, int], int]
"""Replays a trace in a cache with room for so many, returns the hits."""

ROUNDS = 7
UNIVERSE, EXPONENT, ROOM = 100_000, 1.0, 500


def rival(module: str) -> ModuleType | None:
    """Return a rival's module, or None after a line that says it is absent."""
    try:
        return import_module(module)
    except ImportError:
        print(f"bench_s4lru: {module} is not installed, left out")
        return None


def zipf_trace(length: int) -> list[str]:
    weights = list(itertools.accumulate(1 / rank**EXPONENT for rank in range(1, UNIVERSE + 1)))
    draws = random.Random(7).choices(range(UNIVERSE), cum_weights=weights, k=length)
    return [str(number) for number in draws]


class BareLists:
    """Four OrderedDicts and a dict, each level with room for a quarter of the keys; nothing else is kept."""

    def __init__(self, room: int) -> None:
        self._share = room // 4
        self._where: dict[str, int] = {}
        self._levels = [OrderedDict[str, None]() for _ in range(4)]

    def access(self, key: str) -> bool:
        where, levels = self._where, self._levels
        level = where.get(key)
        if level is None:
            levels[0][key] = None
            where[key] = 0
            if len(levels[0]) > self._share:
                del where[levels[0].popitem(last=False)[0]]
            return False
        if level == 3:
            levels[3].move_to_end(key)
            return True
        del levels[level][key]
        level += 1
        levels[level][key] = None
        where[key] = level
        while len(levels[level]) > self._share:
            demoted, _ = levels[level].popitem(last=False)
            level -= 1
            levels[level][demoted] = None
            where[demoted] = level
        return True


def bare(trace: Trace, room: int) -> int:
    access = BareLists(room).access
    return sum(access(key) for key in trace)


def _replay(lru: Any, trace: Trace) -> int:
    hits, increment = 0, lru.increment
    for key in trace:
        if increment(key, 1):
            hits += 1
        elif lru.size > lru.capacity:
            lru.evict()
    return hits


def segmented(trace: Trace, room: int) -> int:
    return _replay(SegmentedLRU[str](room), trace)


def saved(trace: Trace, room: int) -> int:
    with tempfile.TemporaryDirectory() as folder, S4LRU("bench", room, path=folder) as lru:
        return _replay(lru, trace)


def lru_of_dict(trace: Trace, room: int) -> int:
    kept, hits = OrderedDict[str, None](), 0
    for key in trace:
        if key in kept:
            hits += 1
            kept.move_to_end(key)
        else:
            kept[key] = None
            if len(kept) > room:
                kept.popitem(last=False)
    return hits


def _mapping(make: Callable[[int], Any]) -> Replay:
    def replay(trace: Trace, room: int) -> int:
        cache, hits = make(room), 0
        for key in trace:
            if cache.get(key) is None:
                cache[key] = 1
            else:
                hits += 1
        return hits

    return replay


def _theine(module: Any) -> Replay:
    def replay(trace: Trace, room: int) -> int:
        cache, hits = module.Cache(room), 0
        for key in trace:
            if cache.get(key)[1]:
                hits += 1
            else:
                cache.set(key, 1)
        cache.close()
        return hits

    return replay


def subjects() -> dict[str, Replay]:
    found: dict[str, Replay] = {
        "bare": bare,
        "ours": segmented,
        "ours, with its file": saved,
        "LRU of an OrderedDict": lru_of_dict,
    }
    if cachetools := rival("cachetools"):
        found["cachetools.LRUCache"] = _mapping(cachetools.LRUCache)
        found["cachetools.LFUCache"] = _mapping(cachetools.LFUCache)
    if lru := rival("lru"):
        found["lru-dict"] = _mapping(lru.LRU)
    if theine := rival("theine"):
        found["theine"] = _theine(theine)
    return found


def touches_per_second(trace: Trace, *, many: bool) -> float:
    """Return the rate of touches of known keys, in one call or one by one."""
    lru = SegmentedLRU[str](UNIVERSE)
    for key in trace:
        lru.increment(key, 1)
    began = time.process_time()
    if many:
        lru.touch_many(trace)
    else:
        for key in trace:
            lru.increment(key, 1)
    return len(trace) / (time.process_time() - began)


def measure(length: int, rounds: int) -> list[dict[str, object]]:
    trace = zipf_trace(length)
    replays = subjects()
    rates: dict[str, list[float]] = {name: [] for name in replays}
    hits: dict[str, int] = {}
    touches: dict[str, list[float]] = {"ours": [], "ours, touch_many": []}
    for _ in range(rounds):
        for name, replay in replays.items():
            began = time.process_time()
            hits[name] = replay(trace, ROOM)
            rates[name].append(length / (time.process_time() - began))
        touches["ours"].append(touches_per_second(trace, many=False))
        touches["ours, touch_many"].append(touches_per_second(trace, many=True))
    return [*_access_rows(rates), *_hit_rows(hits, length), *_touch_rows(touches)]


def _access_rows(rates: dict[str, list[float]]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, values in rates.items():
        row: dict[str, object] = {"metric": "S4LRU, get-or-set", "subject": name, "value": statistics.median(values)}
        row["unit"] = "accesses/s"
        if name == "ours":
            ratio = statistics.median(ours / probe for ours, probe in zip(values, rates["bare"], strict=True))
            row |= {"target": f">= 0.6 of bare (is {ratio:.2f})", "met": ratio >= 0.6}
        rows.append(row)
    return rows


def _hit_rows(hits: dict[str, int], length: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, count in hits.items():
        row: dict[str, object] = {"metric": "S4LRU, hit ratio", "subject": name, "value": count / length}
        row["unit"] = "of accesses"
        if name == "ours":
            row |= {"target": ">= that of the bare lists", "met": count >= hits["bare"]}
        rows.append(row)
    return rows


def _touch_rows(touches: dict[str, list[float]]) -> list[dict[str, object]]:
    targets = {"ours": 1.2e6, "ours, touch_many": 3e6}
    return [
        {
            "metric": "S4LRU, touch of a known key",
            "subject": name,
            "value": (value := statistics.median(values)),
            "unit": "accesses/s",
            "target": f">= {targets[name]:,.0f}",
            "met": value >= targets[name],
        }
        for name, values in touches.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(60_000 if options.quick else 300_000, 3 if options.quick else ROUNDS)
    for row in rows:
        value = row["value"]
        text = f"{value:12.3f}" if isinstance(value, float) and value < 10 else f"{value:12,.0f}"
        print(f"{row['metric']:30} {row['subject']:24} {text} {row['unit']}  {row.get('target', '')}")
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
