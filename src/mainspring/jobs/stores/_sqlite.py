"""The job store on a SQLite file: single calls travel in group commits, sets of statements do the work."""

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from mainspring.base import current_clock, new_id
from mainspring.errors import IdempotencyError, InvalidArgumentError, LeaseLostError, MainspringError, StaleFenceError
from mainspring.jobs.stores._apps import AppName
from mainspring.jobs.stores._catalog_records import (
    Advance,
    AdvanceAnswer,
    BackfillRow,
    BackfillState,
    BackfillStep,
    JobRegistration,
    JobRow,
)
from mainspring.jobs.stores._claiming import Turns
from mainspring.jobs.stores._done import MOST_SKIP_RECORDS
from mainspring.jobs.stores._events import NO_RUN, refused
from mainspring.jobs.stores._instants import now_us
from mainspring.jobs.stores._records import (
    Claim,
    ClaimAnswer,
    Enqueue,
    EnqueueAnswer,
    Finish,
    HeartbeatAnswer,
    NodeTakes,
    Report,
    RunRecord,
)
from mainspring.jobs.stores._sqlite_apps import adopt, owner_of
from mainspring.jobs.stores._sqlite_backfills import create_backfills, set_backfill_state, step_backfill
from mainspring.jobs.stores._sqlite_catalog import advance, register, renew, settle_waiting
from mainspring.jobs.stores._sqlite_claim import claim
from mainspring.jobs.stores._sqlite_configs import put_config
from mainspring.jobs.stores._sqlite_ends import cancel
from mainspring.jobs.stores._sqlite_enqueue import Intake
from mainspring.jobs.stores._sqlite_events import keep_events, note_late, note_stranded
from mainspring.jobs.stores._sqlite_finish import finish
from mainspring.jobs.stores._sqlite_heart import Heart
from mainspring.jobs.stores._sqlite_kept import let_go
from mainspring.jobs.stores._sqlite_leases import drop_lease, take_lease
from mainspring.jobs.stores._sqlite_locks import Graveyard
from mainspring.jobs.stores._sqlite_nodes import RENEWED_FROM, Nodes, Opening
from mainspring.jobs.stores._sqlite_prune import prune
from mainspring.jobs.stores._sqlite_reader import (
    APPLICATION,
    MEMORY,
    VERSIONS,
    SqliteReads,
    SqliteStoreReader,
    migrations,
)
from mainspring.jobs.stores._sqlite_reports import keep_reports
from mainspring.jobs.stores._sqlite_schedules import set_paused, set_schedule
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_upkeep import file_version
from mainspring.jobs.stores._sqlite_writes import LostRuns
from mainspring.jobs.stores._steering_records import ConfigRow, LeaseRow, Prune, Pruned, SetSchedule, TakeLease
from mainspring.sinks import SinkRun
from mainspring.storage import Durability, Runner, SqliteOwner, ThreadRunner, WriteChannel

T = TypeVar("T")

POLITE_PAUSE = 0.001  # seconds after each group while another process writes too

_StageCommand = tuple[str, int, str, int, bytes]


class SqliteStore(SqliteReads):
    """Keeps the jobs of one host in a SQLite file; any number of its processes may open it.

    Args:
        path: the file; missing directories are made with mode 0700. ":memory:" keeps everything in memory.
        durability: what an answered call survives: "memory" the end of the program, "process" its being
            killed, "disk" a power cut.
        lease: seconds that a node lives without a heartbeat.
        max_block: seconds that a thread renews leases for a loop that does not.
        runner: where the blocking work is done; threads unless given. Without threads nobody beats for a
            blocked loop.

    Raises:
        InvalidArgumentError: a value is outside its range.
    """

    kind: Literal["memory", "sqlite", "postgresql", "mysql"] = "sqlite"
    look_interval = 0.4

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "disk",
        lease: float = 30.0,
        max_block: float = 60.0,
        runner: Runner | None = None,
    ) -> None:
        if lease <= 0:
            raise InvalidArgumentError(argument="lease", value=lease, expected="more than 0 seconds")
        self.location = str(path)
        in_memory = self.location == MEMORY
        self.owner = SqliteOwner(
            path,
            durability=durability,
            migrations=migrations(),
            runner=runner,
            application=APPLICATION,
        )
        self._nodes = Nodes(None if in_memory else Path(path), lease=lease)
        threads = runner is None or isinstance(runner, ThreadRunner)
        self._heart = Heart(Path(path), lease=lease, max_block=max_block) if threads and not in_memory else None
        self._graveyard = Graveyard(Path(path))
        self._lease = lease
        self._lease_ends: dict[int, float] = {}  # by epoch, as the answers of this loop's own writes tell
        self._turns: Turns = {}
        self._lost: LostRuns = {}
        self._opened_by: str | None = None
        channel = self.owner.channel
        # ends come first: they give back the slots that the claims of the same group want
        self._stage: WriteChannel[_StageCommand, None] = channel(_stage, name="stage")
        self._finish: WriteChannel[Finish, RunRecord] = channel(self._run_finish, name="finish")
        self._enqueue: WriteChannel[Enqueue, EnqueueAnswer] = channel(self._run_enqueue, name="enqueue")
        self._claim: WriteChannel[Claim, ClaimAnswer] = channel(self._run_claim, name="claim")

    async def open(self, *, app: AppName | None = None) -> None:
        """Open or create the file, migrating an older one; see `JobStore`.

        Raises:
            StorageError: it belongs to another app, is read-only, corrupted, from a newer version, or out of reach
                (each its own class).
        """
        if app is None:
            await self.owner.open()
            return
        app.check(self._opened_by, store=self.location)
        await self.owner.open(admit=lambda connection: app.check(owner_of(connection), store=self.location))
        try:
            await self.owner.write(lambda connection: adopt(connection, app, self.location))
        except BaseException:
            await self.close()
            raise
        self._opened_by = app.label

    async def close(self) -> None:
        """Commit what was accepted, then leave no thread and no descriptor; open epochs are left to die."""
        try:
            await self.owner.close()
        finally:
            if self._heart is not None:
                self._heart.stop()
            self._nodes.forget_all()

    async def schema(self) -> tuple[int | None, int]:
        """Return (the version of the schema that is there, or None without any; ours)."""
        return await asyncio.to_thread(file_version, Path(self.location)), VERSIONS[-1]

    def reader(self) -> SqliteStoreReader:
        """Return what reads the file without taking part; not open yet.

        Raises:
            InvalidArgumentError: the store lies in memory.
        """
        if self.location == MEMORY:
            raise InvalidArgumentError(argument="store", value=MEMORY, expected="a file, to be read from outside")
        return SqliteStoreReader(self.location)

    def now(self) -> int:
        """Return the host's instant in UTC microseconds."""
        return now_us()

    def __repr__(self) -> str:
        return f"<SqliteStore {self.location}>"

    # ---- runs ----------------------------------------------------------------------------------------------

    async def open_node(self, name: str, *, takes: NodeTakes | None = None) -> int:
        """Register this process as a live node; see `RunStore`."""
        sent, opening = current_clock().monotonic(), Opening(name, takes)
        try:
            epoch = await self.owner.write(lambda connection: self._nodes.open(connection, opening, now_us()))
        except (MainspringError, sqlite3.Error):
            self._nodes.abandon(opening)
            raise
        self._lease_ends[epoch] = sent + self._lease
        self._be_polite()
        if self._heart is not None:
            self._heart.beat_for(epoch)
        return epoch

    async def close_node(self, epoch: int) -> None:
        """End the epoch; its runs become claimable at once."""
        self._forget(epoch)
        await self.owner.write(lambda connection: self._nodes.close(connection, epoch, now_us()))

    def enqueue(self, command: Enqueue) -> Awaitable[EnqueueAnswer]:
        """Create one run; see `RunStore`."""
        return self._enqueue.send(command)

    def enqueue_many(self, commands: Sequence[Enqueue]) -> Awaitable[Sequence[EnqueueAnswer]]:
        """Create many runs in one transaction: all of them or none."""
        return self.owner.write(partial(_enqueue_all, commands=tuple(commands)))

    def claim(self, command: Claim) -> Awaitable[ClaimAnswer]:
        """Take runs for a live epoch; see `RunStore`."""
        return self._claim.submit(command)

    def finish(self, command: Finish) -> Awaitable[RunRecord]:
        """End an attempt; see `RunStore`."""
        return self._finish.send(command)

    def let_go(self, run_id: str, *, fence: int) -> Awaitable[None]:
        """Give back the places under limits that a finish has kept; see `RunStore`."""
        return self._write(lambda connection: let_go(connection, run_id, fence, now_us()))

    def report(self, reports: Sequence[Report]) -> Awaitable[None]:
        """Keep what running attempts have said so far; see `RunStore`."""
        return self._write(lambda connection: keep_reports(connection, reports))

    async def heartbeat(self, epoch: int) -> HeartbeatAnswer:
        """Renew the lease of an epoch; see `RunStore`."""
        if self._heart is not None:
            self._heart.tick()
        sent = current_clock().monotonic()
        answer = await self.owner.write(lambda connection: self._nodes.heartbeat(connection, epoch, now_us()))
        if answer.alive:
            self._lease_ends[epoch] = sent + self._lease * RENEWED_FROM
        else:
            self._forget(epoch)
        self._be_polite()
        return answer

    def lease_end(self, epoch: int) -> float:
        """Return until when the lease of an epoch is known to hold; see `RunStore`."""
        of_the_thread = -math.inf if self._heart is None else self._heart.lease_end(epoch)
        return max(self._lease_ends.get(epoch, -math.inf), of_the_thread)

    def somebody_died(self) -> bool:
        """Tell whether a node of this host has died since the last look; see `RunStore`."""
        return self._graveyard.grew()

    async def rescue(self, *, max_rescues: int = 3) -> Sequence[RunRecord]:
        """Free the runs of dead epochs; see `RunStore`."""
        freed = await self.owner.write(lambda connection: self._nodes.rescue(connection, max_rescues, now_us()))
        self._be_polite()
        return freed

    def cancel(self, run_id: str) -> Awaitable[RunRecord | None]:
        """Cancel a run, or ask its node to; see `RunStore`."""
        return self.owner.write(lambda connection: cancel(connection, run_id, now_us()))

    def stage(self, run: SinkRun, sink_name: str, sequence: int, payload: bytes) -> Awaitable[None]:
        """Keep a chunk of rows of a running run until its finish applies or drops it.

        Raises:
            StaleFenceError: the run is not held under this fence any more.
        """
        return self._stage.submit((run.run_id, run.fence, sink_name, sequence, payload))

    # ---- catalogue -----------------------------------------------------------------------------------------

    async def register(self, jobs: Sequence[JobRegistration]) -> Sequence[JobRow]:
        """Insert new jobs, rename those that `was` names, renew what has changed; see `JobRegistration`."""
        rows, is_behind = await self._write(lambda connection: register(connection, jobs, now_us()))
        while is_behind:
            is_behind = await self._write(lambda connection: renew(connection, now_us()))
        return rows

    def advance(self, commands: Sequence[Advance]) -> Awaitable[Sequence[AdvanceAnswer]]:
        """Move cursors and create the runs that lie between; see `CatalogStore`."""
        skip_ids = [[new_id() for _ in range(MOST_SKIP_RECORDS * len(one.skipped))] for one in commands]
        return self._write(lambda connection: advance(connection, commands, skip_ids, now_us()))

    def set_paused(self, job_id: str, paused: bool) -> Awaitable[JobRow | None]:
        """Stop or resume making and claiming a job's scheduled runs; None for an unknown job."""
        return self._write(lambda connection: set_paused(connection, job_id, paused))

    def set_schedule(self, command: SetSchedule) -> Awaitable[JobRow | None]:
        """Put a schedule over that of the code, or take it away; None for an unknown job."""
        return self._write(lambda connection: set_schedule(connection, command, now_us()))

    def put_config(self, row: ConfigRow) -> Awaitable[ConfigRow]:
        """Add a version to a job's config unless its number is taken; return what has the number then."""
        return self._write(lambda connection: put_config(connection, row))

    def take_lease(self, command: TakeLease) -> Awaitable[LeaseRow]:
        """Take a lease by its name; see `CatalogStore`."""
        return self._write(lambda connection: take_lease(connection, command, now_us()))

    def drop_lease(self, lease: str, holder: str) -> Awaitable[None]:
        """Give a lease back, if this holder has it."""
        return self._write(lambda connection: drop_lease(connection, lease, holder))

    def create_backfill(self, row: BackfillRow, *, downstream: Sequence[BackfillRow] = ()) -> Awaitable[None]:
        """Store a new backfill and those that come after it."""
        return self._write(lambda connection: create_backfills(connection, (row, *downstream)))

    def step_backfill(self, command: BackfillStep) -> Awaitable[BackfillRow]:
        """Apply one step if its cursor still holds; return the row as it then stands."""
        return self._write(lambda connection: step_backfill(connection, command, now_us()))

    def set_backfill_state(self, backfill_id: str, state: BackfillState) -> Awaitable[BackfillRow]:
        """Pause, resume or cancel; see `CatalogStore`."""
        return self._write(lambda connection: set_backfill_state(connection, backfill_id, state, now_us()))

    def prune(self, command: Prune) -> Awaitable[Pruned]:
        """Remove ended runs from the history; see `CatalogStore`."""
        return self._write(lambda connection: prune(connection, command, now_us()))

    def settle_waiting(
        self, *, released: Sequence[str] = (), blocked: Sequence[tuple[str, str]] = ()
    ) -> Awaitable[None]:
        """Make `released` runs AVAILABLE and note why those in `blocked` still wait."""
        return self._write(lambda connection: settle_waiting(connection, released, blocked, now_us()))

    def note_late(
        self, job_id: str, *, scheduled_before: int, ended: Sequence[str] = ()
    ) -> Awaitable[Sequence[RunRecord]]:
        """Note which runs of a job are late; see `CatalogStore`."""
        return self._write(lambda connection: note_late(connection, job_id, scheduled_before, ended, now_us()))

    def note_stranded(self, run_ids: Sequence[str]) -> Awaitable[Sequence[RunRecord]]:
        """Note that nobody takes these runs; see `CatalogStore`."""
        return self._write(lambda connection: note_stranded(connection, run_ids, now_us()))

    def note_refused(self, job_id: str, *, reason: str, error: str) -> Awaitable[None]:
        """Note that a call made no run; see `CatalogStore`."""
        events = [(now_us(), job_id, NO_RUN, refused(reason, error))]
        return self._write(lambda connection: keep_events(connection, events))

    # ---- inside of a group ---------------------------------------------------------------------------------

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        return self.owner.read(work)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        return self.owner.write(work)

    def _forget(self, epoch: int) -> None:
        self._lease_ends.pop(epoch, None)
        if self._heart is not None:
            self._heart.forget(epoch)

    def _be_polite(self) -> None:
        self.owner.yield_between_groups = POLITE_PAUSE if self._nodes.other_count else 0.0

    def _run_finish(
        self, connection: sqlite3.Connection, commands: Sequence[Finish]
    ) -> Sequence[RunRecord | BaseException]:
        return finish(connection, commands, now_us(), self._lost)

    def _run_enqueue(
        self, connection: sqlite3.Connection, commands: Sequence[Enqueue]
    ) -> Sequence[EnqueueAnswer | BaseException]:
        return Intake(connection, now_us()).enqueue(commands)

    def _run_claim(
        self, connection: sqlite3.Connection, commands: Sequence[Claim]
    ) -> Sequence[ClaimAnswer | LeaseLostError]:
        return [claim(connection, command, now_us(), self._turns) for command in commands]


def _enqueue_all(connection: sqlite3.Connection, *, commands: Sequence[Enqueue]) -> Sequence[EnqueueAnswer]:
    answers: list[EnqueueAnswer] = []
    for answer in Intake(connection, now_us()).enqueue(commands):
        if isinstance(answer, IdempotencyError):
            raise answer
        answers.append(answer)
    return answers


def _stage(connection: sqlite3.Connection, commands: Sequence[_StageCommand]) -> Sequence[StaleFenceError | None]:
    sql = statements("runs")["add_stage"]
    return [
        None if connection.execute(sql, command).rowcount else StaleFenceError(run_id=command[0], fence=command[1])
        for command in commands
    ]
