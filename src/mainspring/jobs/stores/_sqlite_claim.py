"""Claims in SQLite."""

import sqlite3
from collections.abc import Sequence
from functools import cache, partial

from mainspring.base import encode_json
from mainspring.errors import LeaseLostError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._claiming import Taking, Turns, take_in_order
from mainspring.jobs.stores._ends import skipped
from mainspring.jobs.stores._limits import FULL, admit, backfill_key, backfills_of
from mainspring.jobs.stores._records import Claim, ClaimAnswer, Part, RunRecord
from mainspring.jobs.stores._sqlite_configs import ConfigsInForce
from mainspring.jobs.stores._sqlite_ends import Change, lower_counters, settle
from mainspring.jobs.stores._sqlite_enqueue import promote
from mainspring.jobs.stores._sqlite_finish import epoch_alive
from mainspring.jobs.stores._sqlite_rows import (
    ATTEMPT,
    AVAILABLE_AT,
    CONFIG_VERSION,
    EPOCH,
    FENCE,
    JOB,
    LIMITS,
    RESCUES,
    RUN,
    SKIPS,
    STARTED_AT,
    STATE,
    Row,
    decode_limits,
    id_list,
    record_of,
)
from mainspring.jobs.stores._sqlite_sql import statements

HEADS_AT_ONCE = 256


def claim(connection: sqlite3.Connection, command: Claim, now: int, turns: Turns) -> ClaimAnswer | LeaseLostError:
    """Take runs for a live epoch."""
    if not epoch_alive(connection, command.epoch):
        return LeaseLostError(epoch=command.epoch)
    next_available_at = promote(connection, now)
    ranks, begin = partial(_ranks, connection), partial(_Taking, connection, command, now, turns)
    return take_in_order(command, ranks, begin, now=now, next_available_at=next_available_at)


@cache
def _ready(name: str, part: Part) -> str:
    """Return the statement that looks at one part of the ready runs."""
    condition = {None: "", "live": " AND kind <> 'backfill'", "backfill": " AND kind = 'backfill'"}[part]
    return statements("runs")[name].replace("{part}", condition)


def _ranks(connection: sqlite3.Connection, queues: Sequence[str]) -> list[tuple[int, str]]:
    """Return (rank, queue) pairs that have ready runs, highest priority first."""
    sql = statements("runs")["ready_rank"]
    found: list[tuple[int, str]] = []
    for queue in dict.fromkeys(queues):
        rank = -(2**63)
        while (row := connection.execute(sql, (queue, rank)).fetchone()) is not None:
            rank = row[0]
            found.append((rank, queue))
    return sorted(found, key=lambda pair: pair[0])


def _of_queue(row: Row) -> tuple[int, str]:
    """Return what a job's queue is ordered by."""
    return row[AVAILABLE_AT], row[RUN]


class _Taking(Taking[Row]):
    def __init__(
        self,
        connection: sqlite3.Connection,
        command: Claim,
        now: int,
        turns: Turns,
        rank: int,
        queue: str,
        part: Part,
    ) -> None:
        super().__init__(command, now, turns, rank, queue, part)
        self._connection = connection
        self._sql = statements("runs")
        self._fence = 0
        self._configs = ConfigsInForce(connection, now)

    def _job_of(self, run: Row) -> str:
        job: str = run[JOB]
        return job

    def _ready_jobs(self, wanted: int) -> list[str]:
        """Return known jobs with ready runs, beginning behind the one that was served last."""
        turn = self._turn
        jobs = self._jobs_after(turn, "", wanted)
        if turn and len(jobs) < wanted:
            jobs += self._jobs_after("", turn, wanted - len(jobs))
        return jobs

    def _jobs_after(self, after: str, last: str, wanted: int) -> list[str]:
        jobs: list[str] = []
        while len(jobs) < wanted:
            parameters = (self._queue, self._rank, after, HEADS_AT_ONCE)
            chunk = [row[0] for row in self._connection.execute(_ready("ready_jobs", self._part), parameters)]
            jobs += [job for job in chunk if job in self._command.jobs and not (last and job > last)]
            if len(chunk) < HEADS_AT_ONCE or (last and chunk[-1] >= last):
                break
            after = chunk[-1]
        return jobs[:wanted]

    def _heads(self, wanted: int) -> list[Row]:
        jobs = self._ready_jobs(wanted)
        if not jobs:
            return []
        each = -(-wanted // len(jobs))
        parameters = (id_list(jobs), self._queue, self._rank, each)
        heads: dict[str, list[Row]] = {job: [] for job in jobs}
        for row in self._connection.execute(_ready("ready_heads", self._part), parameters):
            heads[row[JOB]].append(row)
        for rows in heads.values():
            rows.sort(key=_of_queue)
        in_turn: list[Row] = [rows[place] for place in range(each) for rows in heads.values() if place < len(rows)]
        return in_turn[:wanted]

    def _within_limits(self, runs: Sequence[Row]) -> Sequence[Row]:
        limits = {row[RUN]: decode_limits(row[LIMITS]) for row in runs if row[LIMITS] is not None}
        if not limits:
            return runs
        keys = sorted({key for pairs in limits.values() for key, _ in pairs})
        held = dict(self._connection.execute(self._sql["counters"], (id_list(keys),)).fetchall())
        held |= dict.fromkeys(self._closed(keys), FULL)
        admission = admit([(row, limits.get(row[RUN], [])) for row in runs], held)
        raised = {key: count for key, count in admission.raised.items() if count}
        self._connection.execute(self._sql["raise_counters"], (encode_json(raised).decode(),))
        ends: list[Change] = []
        parked: list[tuple[str, str]] = []
        for key, row in admission.parked:
            if row[SKIPS] and row[STARTED_AT] is None:
                ends.append(skipped(row, limits=limits[row[RUN]], key=key, rescues=row[RESCUES], now=self._now))
            else:
                parked.append((key, row[RUN]))
        self._connection.executemany(self._sql["park"], parked)
        self.skipped += settle(self._connection, ends, self._now)
        if admission.passed_over:  # the slot that woke a run now parked elsewhere goes to the next in line
            lower_counters(self._connection, admission.passed_over, self._now)
        return admission.allowed

    def _closed(self, keys: Sequence[str]) -> list[str]:
        """Return those of the keys whose backfills are paused."""
        backfills = backfills_of(keys)
        if not backfills:
            return []
        rows = self._connection.execute(statements("catalog")["paused_backfills"], (id_list(backfills),)).fetchall()
        return [backfill_key(backfill_id) for (backfill_id,) in rows]

    def _mark(self, runs: Sequence[Row]) -> list[RunRecord]:
        if not self._fence:
            self._fence = self._connection.execute(self._sql["next_fence"]).fetchone()[0]
        epoch = self._command.epoch
        ids = id_list([row[RUN] for row in runs])
        self._connection.execute(self._sql["mark_claimed"], (epoch, self._fence, self._now, ids))
        configs = self._configs.fix(runs)
        return [self._claimed(row, configs.get(row[RUN], row[CONFIG_VERSION])) for row in runs]

    def _claimed(self, row: Row, config_version: int | None) -> RunRecord:
        changed = list(row[:LIMITS])
        changed[CONFIG_VERSION] = config_version
        changed[STATE] = RunState.RUNNING
        changed[ATTEMPT] += 1
        changed[FENCE] = self._fence
        changed[EPOCH] = self._command.epoch
        changed[STARTED_AT] = self._now
        return record_of(changed)
