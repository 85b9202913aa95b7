"""The SQLite owner: one writer with group commit, a few readers, nothing that blocks the loop.

Whatever was submitted while the last group was being committed makes the next group: one `BEGIN IMMEDIATE`,
one commit, one wake-up of the loop. There is no timer: an idle owner writes a single command at once, a busy
one shares each commit between all that wait, so the cost of a commit falls as load rises. Groups bound
themselves: their size follows the measured cost of a command, so that none holds the write lock for long.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from mainspring.base import outside_work
from mainspring.errors import ClosedError, InvalidArgumentError, StoreBusyError, StoreForkedError
from mainspring.storage._reply import Reply
from mainspring.storage._sqlite_errors import translated
from mainspring.storage._sqlite_files import MEMORY, Durability, check_durability
from mainspring.storage._sqlite_migrate import Migration, check_migrations
from mainspring.storage._sqlite_readers import READ_LIMIT, Readers
from mainspring.storage._sqlite_runner import Runner, ThreadRunner
from mainspring.storage._sqlite_writer import Writer

C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")


# Any: an entry carries commands and answers of every channel; WriteChannel gives each its type back.
_Entry = tuple[int, Any, "asyncio.Future[Any] | Reply[Any]"]


class _Process:
    """Which process this is. Asking the system costs more than all else that a command needs to get in line."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.look()

    def look(self) -> None:
        self.number = os.getpid()


_this = _Process()
os.register_at_fork(after_in_child=_this.look)


@dataclass(frozen=True, slots=True)
class SqliteStats:
    """Counts since the owner was opened."""

    group_count: int
    command_count: int
    failed_count: int
    pending_count: int
    largest_group: int


class WriteChannel(Generic[C, R]):
    """Commands of one kind on their way into the next group; made by `SqliteOwner.channel`."""

    __slots__ = ("_enter", "_number", "label")

    def __init__(self, enter: "Callable[[int, Any, Reply[Any] | None], Any]", number: int, label: str) -> None:
        self._enter = enter
        self._number = number
        self.label = label

    def submit(self, command: C) -> "asyncio.Future[R]":
        """Send a command with the next group; the future is resolved after the commit.

        A cancelled future changes nothing: the command is still carried out. Call on the owner's loop.

        Raises:
            ClosedError: the owner is not open.
            StoreBusyError: `max_pending` commands wait already.
            StoreForkedError: the owner was opened by a parent process.
        """
        return cast("asyncio.Future[R]", self._enter(self._number, command, None))  # cast: see _Entry

    def send(self, command: C) -> "Reply[R]":
        """Send a command as `submit` does, for a reply that costs less than a future when it is not awaited.

        Raises:
            ClosedError, StoreBusyError, StoreForkedError: as for `submit`.
        """
        reply: Reply[R] = Reply()
        self._enter(self._number, command, reply)
        return reply

    def __repr__(self) -> str:
        return f"<WriteChannel {self.label}>"


class SqliteOwner:
    """Owns a SQLite file: groups its writes, bounds its readers, keeps its schema.

    Use it from the loop that opened it. Several owners, also in several processes, may share a file.

    Args:
        path: the file; missing directories are made with mode 0700. ":memory:" keeps everything in memory.
        durability: what a commit survives: "memory" the end of the program, "process" its being killed,
            "disk" a power cut.
        migrations: the steps of the schema, versions 1, 2, 3, ...; none leaves the schema alone.
        runner: where the blocking work is done; a `ThreadRunner` unless given.
        max_group: commands that share a transaction at most.
        max_group_seconds: a group is kept small enough to take about that long at most.
        application: marks the file, so that another application refuses it.
        busy_timeout: seconds to wait for another process before `StoreBusyError`.
        max_pending: commands that may wait at most.
        read_limit: seconds after which a read is ended.

    Raises:
        InvalidArgumentError: a value is outside its range.
    """

    yield_between_groups: float
    """Seconds to leave the file alone after each group; at least 0.001 while another process writes too."""

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "disk",
        migrations: Sequence[Migration] = (),
        runner: Runner | None = None,
        max_group: int = 1000,
        max_group_seconds: float = 0.05,
        application: str = "mainspring",
        busy_timeout: float = 30.0,
        max_pending: int = 500_000,
        read_limit: float = READ_LIMIT,
    ) -> None:
        check_durability(durability)
        if max_group < 1:
            raise InvalidArgumentError(argument="max_group", value=max_group, expected="at least 1")
        check_migrations(migrations)
        self.path = Path(path)
        self.durability: Durability = durability
        self.yield_between_groups = 0.0
        self._migrations = tuple(migrations)
        self._runner = runner if runner is not None else ThreadRunner()
        self._max_group = max_group
        self._max_group_seconds = max_group_seconds
        self._application = application
        self._max_pending = max_pending
        self._in_memory = str(path) == MEMORY
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state = "new"
        self._process = _this.number
        self._writer = Writer(self.path, durability=durability, busy_timeout=busy_timeout, pause=self._runner.pause)
        self._readers = Readers(self.path, limit=read_limit)
        self._inbox: deque[_Entry] = deque()
        self._pending = 0
        self._drained: asyncio.Future[None] | None = None
        self._groups = self._commands = self._failed = self._largest = 0
        self._works: WriteChannel[Callable[[sqlite3.Connection], object], object] = self.channel(
            _run_works, name="write"
        )

    def channel(
        self,
        handler: Callable[[sqlite3.Connection, Sequence[C]], Sequence[R | BaseException]],
        *,
        name: str,
    ) -> WriteChannel[C, R]:
        """Return a channel whose commands reach `handler` together, inside the group's transaction.

        The handler gets all commands of the channel that travel in the group, in the order of their
        submission, and returns one answer for each; an answer that is an exception fails that command
        alone, and what the handler wrote for it stays. When the handler raises, its work is rolled back and
        its commands are run again one by one. Channels of a group run in the order of their creation.
        """
        return WriteChannel(self._enter, self._writer.add_handler(handler), name)

    async def open(self, *, admit: Callable[[sqlite3.Connection], None] | None = None) -> Self:
        """Open the file, bring its schema up to date and start the writer.

        Args:
            admit: looks at what is ours or empty, whatever its schema, before anything in it is changed; what it
                raises ends this.

        Raises:
            StoreOpenError: the path cannot hold a store, or holds another application's.
            StoreReadOnlyError: the file or its directory may not be written.
            StoreCorruptError: the file is damaged or no database.
            StoreTooNewError: the file's schema is newer than `migrations`.
            StoreBusyError: another process held the file for longer than `busy_timeout`.
            ClosedError: the owner was opened before.
        """
        if self._state != "new":
            raise ClosedError(what=f"the store {self.path}", hint="an owner is opened once; make another")
        self._state = "opening"
        self._process = _this.number
        self._loop = asyncio.get_running_loop()
        self._runner.start(self._step)
        try:
            opening = partial(self._writer.open, self._migrations, application=self._application, admit=admit)
            await self._runner.call(opening)
        except BaseException:
            self._state = "closed"
            await self._runner.stop()
            self._close_connections()
            raise
        self._state = "open"
        return self

    async def close(self) -> None:
        """Write what was submitted, then close the file; may be called again."""
        if self._state != "open" or self._loop is None:
            return
        self._state = "closing"
        try:
            if self._pending:
                self._drained = self._loop.create_future()
                await self._drained
            await self._runner.call(self._close_connections)
        finally:
            self._state = "closed"
            await self._runner.stop()
            self._close_connections()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Run `work` in the next group under a savepoint of its own; it must not commit.

        Raises:
            ClosedError: the owner is not open.
            StoreBusyError: `max_pending` commands wait already.
            StoreForkedError: the owner was opened by a parent process.
        """
        return cast("asyncio.Future[T]", self._works.submit(work))  # cast: the channel carries every T

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a reader connection, off the loop, in one snapshot of at most `read_limit`.

        Raises:
            StoreReadTimeoutError: the snapshot was held for too long.
            ClosedError: the owner is not open.
            StoreForkedError: the owner was opened by a parent process.
        """
        self._check_open()
        if self._in_memory:
            return await self.write(work)
        return await self._runner.call(partial(self._readers.read, work))

    def stats(self) -> SqliteStats:
        """Return the counts so far."""
        return SqliteStats(self._groups, self._commands, self._failed, self._pending, self._largest)

    def __repr__(self) -> str:
        return f"<SqliteOwner {self.path} {self._state} groups={self._groups} pending={self._pending}>"

    def _enter(self, number: int, command: Any, reply: "Reply[Any] | None") -> "asyncio.Future[Any] | Reply[Any]":
        """Put a command of a channel in line; `WriteChannel.submit` is the door to this."""
        self._check_open()
        if self._pending >= self._max_pending or self._loop is None:
            reason = f"{self._pending} writes wait already"
            raise StoreBusyError(store=str(self.path), reason=reason, hint="await what you submit")
        self._pending += 1
        outside_work.count += 1
        answer = self._loop.create_future() if reply is None else reply
        self._inbox.append((number, command, answer))
        self._runner.wake()
        return answer

    def _check_open(self) -> None:
        if self._state != "open":
            raise ClosedError(what=f"the store {self.path}")
        if _this.number != self._process:
            raise StoreForkedError(store=str(self.path))

    def _step(self) -> bool:
        """Write one group on the writer's side; tell whether more waits."""
        entries = self._next_group()
        if not entries:
            return False
        answers = self._writer.write([(number, command) for number, command, _ in entries])
        self._runner.deliver(partial(self._deliver, entries, answers))
        if self.yield_between_groups > 0:
            self._runner.pause(self.yield_between_groups)
        return bool(self._inbox)

    def _next_group(self) -> list[_Entry]:
        """Take from the line what fits in one group, judged by what such commands took of late; at least one."""
        inbox, costs, left, entries = self._inbox, self._writer.costs, self._max_group_seconds, list[_Entry]()
        if self.yield_between_groups > 0:  # others wait for the lock, which is held until the disk has answered
            left -= min(self._writer.commit_cost, left / 2)
        while inbox and len(entries) < self._max_group:
            left -= costs[inbox[0][0]]
            if left < 0 and entries:
                break
            entries.append(inbox.popleft())
        return entries

    def _close_connections(self) -> None:
        self._readers.close()
        self._writer.close()

    def _deliver(self, entries: Sequence[_Entry], answers: Sequence[Any]) -> None:
        self._groups += 1
        self._commands += len(entries)
        self._largest = max(self._largest, len(entries))
        self._pending -= len(entries)
        outside_work.count -= len(entries)
        for (_, _, asked), answer in zip(entries, answers, strict=True):
            failed = isinstance(answer, BaseException)
            self._failed += failed
            if asked.done():
                continue
            if failed:
                asked.set_exception(translated(answer, str(self.path)))
            else:
                asked.set_result(answer)
        if self._drained is not None and self._pending == 0 and not self._drained.done():
            self._drained.set_result(None)


def _run_works(connection: sqlite3.Connection, works: Sequence[Callable[[sqlite3.Connection], object]]) -> list[object]:
    answers: list[object] = []
    for work in works:
        connection.execute("SAVEPOINT work")
        try:
            answers.append(work(connection))
        except Exception as error:  # supervisor: the error is the caller's answer
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO work")
            answers.append(error)
        connection.execute("RELEASE work")
    return answers
