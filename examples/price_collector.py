"""A service without any job: it hands prices to a sink in batches; what the sink refuses for long waits on disk.

python examples/price_collector.py
"""

from dataclasses import dataclass

from mainspring.base import Backoff
from mainspring.runtime import Service, run
from mainspring.sinks import Delivery, SinkSet


@dataclass
class Price:
    symbol: str
    amount: float


sinks = SinkSet(spool="spool")
arrived: list[Price] = []
outages = 2  # the database is not up yet at the first attempts


@sinks.sink(Price, delivery=Delivery(max_count=100, retry=Backoff(0.01, max_tries=3), on_failure="spool"))
async def keep(batch: list[Price]) -> None:
    global outages
    if outages:
        outages -= 1
        raise ConnectionError("nobody answers")
    arrived.extend(batch)


class PriceCollector(Service):
    """Stands for a websocket client: one price after another, as they come."""

    async def start(self) -> None:
        await sinks.open()
        for number in range(250):
            await sinks.emit(Price("ACME", 100 + number / 100))

    async def stop(self, exception: Exception | None = None) -> None:
        await sinks.close()


async def main() -> None:
    await sinks.flush()
    print(f"{len(arrived)} prices arrived")


if __name__ == "__main__":
    run(main(), PriceCollector())
