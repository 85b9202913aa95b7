"""A service that does its work again and again, on a grid of time.

python examples/services/periodic_report.py
"""

import asyncio

from mainspring.runtime import run
from mainspring.services import PeriodicService


class Report(PeriodicService):
    """Counts, and says when it has counted to three."""

    count: int = 0

    async def callback(self) -> None:
        self.count += 1
        print("report", self.count)
        if self.count == 3:
            enough.set()


enough = asyncio.Event()


async def main() -> None:
    """Wait for three reports."""
    await enough.wait()


if __name__ == "__main__":
    run(main(), Report(interval=0.05, delay=0.01), log_level="warning")
