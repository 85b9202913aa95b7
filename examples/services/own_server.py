"""Services of one's own on the bases that ready ones stand on: tasks, and a server, that end with the service.

python examples/services/own_server.py
"""

import asyncio

from mainspring.runtime import run
from mainspring.services import SimpleClient, SimpleServer, TaskStoreBase


class Counter(TaskStoreBase):
    """Counts, in a task."""

    count = 0

    async def start(self) -> None:
        _ = self.create_task(self.work())

    async def work(self) -> None:
        """Count for ever."""
        while True:
            self.count += 1
            await asyncio.sleep(0)


class Teller(SimpleServer):
    """Tells the count to whoever connects."""

    requires = (Counter,)
    port = 0

    async def start(self) -> None:
        self.server = server = await asyncio.start_server(self.tell, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say it and hang up."""
        writer.write(b"%d\n" % counter.count)
        writer.close()


class Asker(SimpleClient):
    """Asks once."""

    requires = (Teller,)

    async def start(self) -> None:
        self.answer = self.create_task(self.ask())

    async def ask(self) -> int:
        """Return the count."""
        reader, writer = await asyncio.open_connection("127.0.0.1", teller.port)
        count = int(await reader.readline())
        writer.close()
        return count


counter, teller, asker = Counter(), Teller(), Asker()


async def main() -> None:
    """Wait for the answer."""
    print("counted:", await asker.answer >= 0)


if __name__ == "__main__":
    run(main(), counter, teller, asker, log_level="warning")
