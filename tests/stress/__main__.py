"""Run worlds by their numbers, print what went wrong: python -m tests.stress memory 0 1000."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.stress.support_world import simulate_in_memory, simulate_in_sqlite


def main() -> int:
    """Run the worlds; return how many of them broke a promise, at most 100."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("store", choices=["memory", "sqlite"])
    parser.add_argument("first", type=int, help="the number of the first world")
    parser.add_argument("end", type=int, nargs="?", help="the number after the last one; without it one world runs")
    parser.add_argument(
        "--digest", action="store_true", help="print a digest of each story: the same one, the same story"
    )
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.first, asked.end if asked.end is not None else asked.first + 1):
            story = simulate_in_memory(seed) if asked.store == "memory" else simulate_in_sqlite(seed, Path(folder))
            broken += bool(story.problems)
            if asked.digest:
                print(story.digest(), flush=True)
            for problem in story.problems:
                print(f"{asked.store} {seed}: {problem}", flush=True)
    return min(broken, 100)


if __name__ == "__main__":
    sys.exit(main())
