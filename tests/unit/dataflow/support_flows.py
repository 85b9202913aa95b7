"""Callbacks and topologies for the tests of dataflows; of a module, so that they travel to any process."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from mainspring.dataflow import Process


def count_to_100(p: Process) -> Iterator[int]:
    """Yield 0 to 99, from where the last one in this place got to."""
    yield from range(p.acknowledged, 100)


async def count_forever(p: Process) -> AsyncIterator[int]:
    """Yield numbers without an end, and let others have their turns."""
    number = p.acknowledged
    while True:
        yield number
        number += 1
        await asyncio.sleep(0)


class Ticker:
    """A source that blocks between messages, until the last stage has written one of them."""

    def __init__(self, collector: "Collector") -> None:
        self._collector = collector

    def __call__(self, p: Process) -> Iterator[int]:
        """Yield a message each tenth of a second, fewer than are sent in one batch."""
        pause = threading.Event()
        for number in range(250):
            yield number
            if self._collector.lines():
                return
            pause.wait(0.1)
        raise TimeoutError("nothing arrives while the source goes on")


def double(p: Process, number: int) -> int:
    """Return twice the number."""
    return number * 2


class Collector:
    """A last stage: writes each message to a file that its worker has for itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, p: Process, message: Any) -> None:
        """Write one line."""
        with open(self._folder / f"{p.id}-{os.getpid()}-{p.restart_count}", "a") as file:
            file.write(f"{message}\n")

    def lines(self) -> list[str]:
        """Return everything that was written, by any worker."""
        return [line for path in self._folder.iterdir() for line in path.read_text().splitlines()]

    def lines_of(self, worker: str) -> list[str]:
        """Return what the worker in one place has written."""
        paths = [path for path in self._folder.iterdir() if path.name.startswith(f"{worker}-")]
        return [line for path in paths for line in path.read_text().splitlines()]


def report(p: Process, number: int) -> None:
    """Log each message, with its worker's place."""
    logging.getLogger("report").info("%s got %d", p.id, number, extra={"place": p.id})
