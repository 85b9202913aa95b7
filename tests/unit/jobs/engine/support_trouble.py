"""A SQLite store whose calls fail as a test wants it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainspring.errors import LeaseLostError, StoreBusyError
from mainspring.jobs import JobApp
from mainspring.jobs.stores import (
    Claim,
    ClaimAnswer,
    Enqueue,
    EnqueueAnswer,
    Finish,
    NodeTakes,
    RunRecord,
    SqliteStore,
)


class Trouble(SqliteStore):
    """A store whose next calls fail as they are told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durability="memory")
        self.failures: dict[str, list[Exception]] = {}
        self.lost: dict[str, int] = {}
        self.known_end: float | None = None

    def _lose(self, call: str) -> None:
        """Fail after the call was done, as often as `lost` says."""
        if self.lost.get(call, 0):
            self.lost[call] -= 1
            raise busy()

    def _fail(self, call: str, *, epoch: int | None = None) -> None:
        waiting = self.failures.get(call)
        failure = waiting.pop(0) if waiting else None
        if isinstance(failure, LeaseLostError) and epoch is not None and failure.epoch != epoch:
            return  # the node has found out by itself, and has another epoch: that one lives
        if failure is not None:
            raise failure

    async def open_node(self, name: str, *, takes: NodeTakes | None = None) -> int:
        self._fail("open_node")
        return await super().open_node(name, takes=takes)

    async def close_node(self, epoch: int) -> None:
        self._fail("close_node")
        await super().close_node(epoch)

    def lease_end(self, epoch: int) -> float:
        return super().lease_end(epoch) if self.known_end is None else self.known_end

    async def claim(self, command: Claim) -> ClaimAnswer:
        self._fail("claim", epoch=command.epoch)
        answer = await super().claim(command)
        if answer.runs:
            self._lose("claim")
        return answer

    async def enqueue(self, command: Enqueue) -> EnqueueAnswer:
        answer = await super().enqueue(command)
        if answer.claimed is not None:
            self._lose("enqueue")
        return answer

    async def finish(self, command: Finish) -> RunRecord:
        self._fail("finish")
        return await super().finish(command)

    async def let_go(self, run_id: str, *, fence: int) -> None:
        self._fail("let_go")
        await super().let_go(run_id, fence=fence)

    async def heartbeat(self, epoch: int) -> Any:
        self._fail("heartbeat", epoch=epoch)
        return await super().heartbeat(epoch)

    async def advance(self, commands: Any) -> Any:
        self._fail("advance")
        return await super().advance(commands)

    async def waiting(self, **options: Any) -> Sequence[RunRecord]:
        self._fail("waiting")
        return await super().waiting(**options)

    async def backfills(self, **options: Any) -> Any:
        self._fail("backfills")
        return await super().backfills(**options)


def troubled(path: Path, **options: Any) -> tuple[JobApp, Trouble]:
    store = Trouble(path / "state.db")
    return JobApp("test", store=store, poll_interval=0.02, **options), store


def busy() -> Exception:
    return StoreBusyError(store="state.db", reason="held by a test")
