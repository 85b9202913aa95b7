"""How the stores of the conformance suite get into trouble: in their disk, in their writer, or on the way to them."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

from mainspring.errors import StoreBusyError
from mainspring.jobs.stores import CatalogStore, JobStore, RunStore, SqliteStore
from mainspring.storage import InlineRunner, ThreadRunner

NEVER_AWAITED = {"now", "lease_end", "somebody_died"}
WRITES = frozenset(
    name
    for protocol in (RunStore, CatalogStore)
    for name in vars(protocol)
    if not name.startswith("_") and name not in NEVER_AWAITED
)


class Way:
    """The way to a store; its writes can be cut off, lose their replies, or stand still.

    Everything else reaches the store as if nothing lay between.
    """

    def __init__(self, inner: JobStore) -> None:
        self._inner = inner
        self._is_cut = self._loses_replies = False
        self._stands: asyncio.Event | None = None

    def __getattr__(self, name: str) -> Any:  # Any: whatever the store has under this name
        found = getattr(self._inner, name)
        if name not in WRITES or not (self._is_cut or self._loses_replies or self._stands):
            return found
        return partial(self._through, found)

    # Any: of every write
    async def _through(self, write: Callable[..., Awaitable[object]], *args: Any, **options: Any) -> object:
        if self._is_cut:
            raise self._trouble("out of reach")
        if self._stands is not None:
            await self._stands.wait()
        answer = await write(*args, **options)
        if self._loses_replies:
            raise self._trouble("the reply is lost")
        return answer

    def _trouble(self, reason: str) -> StoreBusyError:
        return StoreBusyError(store=self._inner.location, reason=reason)

    @contextmanager
    def cut(self) -> Generator[None]:
        self._is_cut = True
        try:
            yield
        finally:
            self._is_cut = False

    @contextmanager
    def lose_replies(self) -> Generator[None]:
        self._loses_replies = True
        try:
            yield
        finally:
            self._loses_replies = False

    @contextmanager
    def stand_still(self) -> Generator[None]:
        self._stands = go_on = asyncio.Event()
        try:
            yield
        finally:
            self._stands = None
            go_on.set()


class Gate:
    """Lets a writer go from group to group, or not."""

    def __init__(self) -> None:
        self._between_groups = threading.Lock()
        self._is_shut = False

    def gated(self, step: Callable[[], bool]) -> Callable[[], bool]:
        def gated_step() -> bool:
            with self._between_groups:  # whoever shuts the gate waits for a group that is being written
                return not self._is_shut and step()

        return gated_step

    @contextmanager
    def shut(self) -> Generator[None]:
        with self._between_groups:
            self._is_shut = True
        try:
            yield
        finally:
            self._is_shut = False


class GatedThreads(ThreadRunner):
    """A writer thread that can stand still between two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def start(self, step: Callable[[], bool]) -> None:
        super().start(self.gate.gated(step))


class GatedInline(InlineRunner):
    """A writer on the loop that can stand still between two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()

    def start(self, step: Callable[[], bool]) -> None:
        super().start(self.gate.gated(step))


@contextmanager
def standing(runner: GatedThreads | GatedInline) -> Generator[None]:
    """Within, no group is written.

    The thread that renews leases for a blocked loop is not held: its first beat is far behind the end of a test.
    """
    with runner.gate.shut():
        yield
    runner.wake()


@contextmanager
def failing_commits(store: SqliteStore, *, kept: bool) -> Generator[None]:
    """Within, the disk answers each commit with an error; `kept` tells whether it was done nevertheless."""
    writer = store.owner._writer
    commit = writer._commit

    def fail(connection: sqlite3.Connection) -> None:
        if kept:
            commit(connection)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    writer._commit = fail  # type: ignore[method-assign]  # the disk beneath it cannot be replaced
    try:
        yield
    finally:
        writer._commit = commit  # type: ignore[method-assign]  # as above
