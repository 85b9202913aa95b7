"""The test's end of tasks that hold their worker: it hears when they begin and lets them go."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # nobody sets an event for it
            await asyncio.sleep(0)


class Held(NamedTuple):
    """A task that has begun: its mark, its process, and the two ends of its channel."""

    mark: str
    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def release(self) -> None:
        """Let the task return."""
        self.writer.close()

    async def next_line(self) -> str:
        """Wait for what the task says next; empty when it is gone."""
        async with asyncio.timeout(20):
            try:
                return (await self.reader.readline()).decode().strip()
            except ConnectionResetError:
                return ""


class Holds:
    """Where `support_tasks.hold` calls."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._begun: asyncio.Queue[Held] = asyncio.Queue()
        self._all: list[Held] = []

    async def next(self) -> Held:
        """Wait until the next task begins."""
        async with asyncio.timeout(20):
            return await self._begun.get()

    def none_began(self) -> bool:
        """Whether no task has begun that was not taken."""
        return self._begun.empty()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mark, pid = (await reader.readline()).decode().split()
        held = Held(mark, int(pid), reader, writer)
        self._all.append(held)
        self._begun.put_nowait(held)

    def release_all(self) -> None:
        for held in self._all:
            held.release()


@asynccontextmanager
async def open_holds(folder: Path) -> AsyncGenerator[Holds]:
    """Listen for tasks that hold."""
    holds = Holds(folder / "holds.sock")
    server = await asyncio.start_unix_server(holds.take, holds.path)
    try:
        yield holds
    finally:
        holds.release_all()
        server.close()
        await server.wait_closed()
