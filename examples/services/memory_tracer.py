"""Which lines hold most memory, and a file for flame graph viewers.

python examples/services/memory_tracer.py
"""

import asyncio
import os

from mainspring.runtime import run
from mainspring.services import MemoryTracer


async def main() -> None:
    """Hold more and more."""
    leaking: list[bytes] = []
    for _ in range(100):
        leaking.extend(os.urandom(1024) for _ in range(10))
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    run(main(), MemoryTracer(interval=0.05, top_results=3, path="memory.folded", logger=print), log_level="warning")
