"""A program: an endless dataflow that writes the pids of its workers, and says when it has ended well."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mainspring.dataflow import Dataflow, Process, Runner


def source(p: Process) -> Iterator[int]:
    """Yield numbers without an end."""
    number = 0
    while True:
        yield number
        number += 1


def sink(p: Process, number: int) -> None:
    """Write the pid with the first number."""
    if not p.state["told"]:
        p.state["told"] = True
        Path(sys.argv[1], str(os.getpid())).touch()


if __name__ == "__main__":
    Dataflow("endless", [Runner(source), Runner(sink, 2)]).start()
    print("ended well")
