"""Where the time goes, and a file for `python -m pstats`, snakeviz and the like.

python examples/services/profiler.py
"""

import asyncio

from mainspring.runtime import run
from mainspring.services import Profiler


def slow(number: int) -> int:
    """Take its time."""
    return sum(range(number))


async def main() -> None:
    """Call it often."""
    for _ in range(50):
        slow(10_000)
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    run(
        main(),
        Profiler(interval=1, top_results=3, order="tottime", path="profile.pstats", logger=print),
        log_level="warning",
    )
