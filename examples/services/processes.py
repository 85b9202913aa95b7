"""Work in processes of its own: one that ends with the program, and one that is started again when it dies.

python examples/services/processes.py
"""

import asyncio
import os
import threading

from mainspring import Backoff
from mainspring.runtime import run
from mainspring.services import ProcessService, RespawningProcessService


class Miner(ProcessService):
    """Mines one kind of coin."""

    coin: str = "none"

    def in_process(self) -> None:
        threading.Event().wait()


class Mortal(RespawningProcessService):
    """Dies at once."""

    backoff = Backoff.constant(0.01)

    def in_process(self) -> None:
        raise SystemExit(42)


mortal = Mortal()
miner = Miner(coin="copper")


async def main() -> None:
    """Let the mortal one die for a while."""
    print("the miner is another process:", miner.pid != os.getpid())
    await asyncio.sleep(0.2)
    print("the mortal one was started again:", mortal.restart_count > 0)


if __name__ == "__main__":
    run(main(), miner, mortal, log_level="error")
