"""What aggregating calls costs: 100 calls become one.

Usage: python -m benchmarks.bench_aggregate [--quick] [--json FILE]

Target: 3 times aiomisc. The aggregated function does nothing, and batches are full, so no leeway is waited for.
"""

import asyncio
from typing import Any  # Any: rivals come without types

from benchmarks.support_rounds import Case, Run, options, report, rival, run_case

from mainspring.concurrency import aggregate

BATCH = 100


async def same(*numbers: int) -> list[int]:
    return list(numbers)


def batches(call: Any, count: int) -> Run:
    async def run() -> float:
        for _ in range(count // BATCH):
            await asyncio.gather(*(call(number) for number in range(BATCH)))
        return count

    return run


async def main(quick: bool) -> list[dict[str, object]]:
    count, rounds = (5_000, 5) if quick else (50_000, 9)
    case = Case("aggregate, 100 per batch", "calls/s", "aiomisc", 3.0)
    case.subjects["ours"] = batches(aggregate(1000, BATCH)(same), count)
    if aiomisc := rival("aiomisc"):
        case.subjects["aiomisc"] = batches(aiomisc.aggregate(1000, BATCH)(same), count)
    return await run_case(case, rounds)


if __name__ == "__main__":
    chosen = options(__doc__)
    report(asyncio.run(main(chosen.quick)), chosen.json)
