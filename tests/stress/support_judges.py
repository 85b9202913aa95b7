"""What must hold of the records and backfills of a world at its end."""

from collections.abc import Sequence

from tests.stress.support_jobs import DELAY, START

from mainspring.base import new_id, to_us
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    BackfillRow,
    BackfillState,
    Claim,
    Enqueue,
    Finish,
    JobStore,
    NewRun,
    RunKind,
    RunRecord,
)
from mainspring.sinks import SinkRun, SqlTransaction

SUM = 40_000_000  # microseconds of an interval of the job that needs others


def judge_past(records: list[RunRecord]) -> list[str]:
    """A run that depends on its past began when the interval before it was done."""
    chain = [record for record in records if record.job_id == "chain"]
    done_at: dict[int, int] = {}
    for record in chain:
        if record.state in (RunState.SUCCEEDED, RunState.SKIPPED):
            end, at = record.interval_end or 0, record.finished_at or 0
            done_at[end] = min(done_at.get(end, at), at)
    return [
        f"{record.run_id} of chain began before its past was done"
        for record in chain
        if record.started_at is not None and (record.interval_start or 0) > to_us(START)
        if done_at.get(record.interval_start or 0, record.started_at + 1) > record.started_at
    ]


def judge_delay(records: list[RunRecord]) -> list[str]:
    """No run began before its late data could have come, whoever made it."""
    return [
        f"{record.run_id} of grid began before it was due"
        for record in records
        if record.job_id == "grid" and record.started_at is not None
        if record.started_at < (record.interval_end or 0) + int(DELAY * 1e6)
    ]


def judge_backfills(rows: Sequence[BackfillRow], records: list[RunRecord]) -> list[str]:
    """The counts add up, and what came after others has seen what they wrote."""
    problems: list[str] = []
    by_id = {row.backfill_id: row for row in rows}
    for row in rows:
        ended = row.succeeded_count + row.failed_count + row.cancelled_count
        left = row.live_count if row.state is BackfillState.RUNNING else 0
        if row.created_count != ended + row.live_count or row.live_count != left:
            problems.append(f"the counts of backfill {row.backfill_id} do not add up")
        for first in (by_id[backfill_id] for backfill_id in row.after):
            if row.state is BackfillState.FINISHED:
                problems += judge_downstream(first, records)
    return problems


def judge_downstream(first: BackfillRow, records: list[RunRecord]) -> list[str]:
    ends = [
        record.finished_at or 0
        for record in records
        if record.backfill_id == first.backfill_id and record.state is RunState.SUCCEEDED
    ]
    done_at = max([first.finished_at or 0, *ends])
    seen = {
        record.interval_start
        for record in records
        if record.job_id == "sum" and (record.started_at or record.finished_at or 0) >= done_at
    }
    ran = {
        (record.interval_start or 0) // SUM * SUM
        for record in records
        if record.backfill_id == first.backfill_id and record.state is RunState.SUCCEEDED
    }
    stale = [at for at in ran if at >= to_us(START) and at + SUM <= done_at and at not in seen]
    return [f"the sum of {at} is older than backfill {first.backfill_id}" for at in stale]


class Look:
    """Reads, inside of the store's transaction, what runs wrote."""

    sink_name = "look"
    count = 0
    run = SinkRun("", "look", 0, 1, None, None, None)

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, int]] = []

    def apply(self, tx: SqlTransaction) -> int:
        if tx.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'"):
            found = tx.execute("SELECT start, run, fence FROM rows ORDER BY start, run")
            self.rows = [(int(str(start)), str(run), int(str(fence))) for start, run, fence in found]
        return 0


async def write(store: JobStore, look: Look) -> None:
    """Finish a run whose rows are a look."""
    epoch = await store.open_node("judge")
    run = NewRun(run_id=new_id(), job_id="look", kind=RunKind.MANUAL, available_at=0)
    await store.enqueue(Enqueue(run=run))
    (record,) = (await store.claim(Claim(epoch=epoch, limit=1, jobs=frozenset({"look"})))).runs
    end = Finish(
        run_id=record.run_id,
        epoch=epoch,
        fence=record.fence,
        attempt=1,
        state=RunState.SUCCEEDED,
        finished_at=store.now(),
        writes=(look,),
    )
    await store.finish(end)
