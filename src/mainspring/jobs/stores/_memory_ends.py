"""What the end of an attempt entails in memory: history, done-set, counts, limits and backfills, in one go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from mainspring.errors import StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, ran_in
from mainspring.jobs.stores._ends import (
    ON_REQUEST,
    OPEN_BACKFILL,
    Change,
    cancelled,
    end_of_backfill,
    finished,
    finished_again,
    ran_marks,
)
from mainspring.jobs.stores._limits import FULL, backfill_key
from mainspring.jobs.stores._memory_data import KeptLimits, LiveRun, MemoryData
from mainspring.jobs.stores._memory_events import keep_events
from mainspring.jobs.stores._memory_reports import keep_log, keep_progress
from mainspring.jobs.stores._records import Finish, RunKind, RunRecord


def finish(data: MemoryData, command: Finish, now: int) -> RunRecord:
    """End an attempt and return the run as it then stands.

    Raises:
        StaleFenceError: another claim or a rescue came first.
        SinkWriteError: its rows were refused; nothing was changed.
    """
    run = data.live.get(command.run_id)
    if run is None or not _holds(run.record, command) or command.epoch not in data.nodes:
        live = None if run is None else run.record
        again = finished_again(command, live, data.ended.get(command.run_id))
        if isinstance(again, StaleFenceError):
            raise again
        return again
    if command.writes:
        error = data.rows.write(command)
        if error is not None:
            raise error
    record = run.record
    keep_log(data, command)
    keep_progress(data, command)
    change = finished(
        run,
        command,
        attempt=record.attempt,
        rescues=record.rescues,
        cancel_requested=record.cancel_requested,
    )
    return settle(data, [change], now)[0]


def cancel(data: MemoryData, run_id: str, now: int) -> RunRecord | None:
    """Cancel a run at once when nobody holds it, else ask its node to."""
    run = data.live.get(run_id)
    if run is None:
        return data.ended.get(run_id)
    if run.record.state is RunState.RUNNING:
        request_cancel(data, run)
        return run.record
    return settle(data, [_cancellation(run, now)], now)[0]


def request_cancel(data: MemoryData, run: LiveRun) -> None:
    """Note that the node of a running run is to stop it."""
    data.change(run, structs.replace(run.record, cancel_requested=True), run.place)


def settle(data: MemoryData, changes: Sequence[Change[LiveRun]], now: int) -> list[RunRecord]:
    """End runs, or free them for another attempt; return them as they then stand, in order."""
    held: Counter[str] = Counter()
    for change in changes:
        if change.keeps_limits:
            _keep_limits(data, change.run)
            continue
        is_running = change.run.record.state is RunState.RUNNING
        held.update({key: int(is_running) for key, _ in change.run.limits})
    records = [_settle_one(data, change, now) for change in changes]
    if held:
        lower_counters(data, held, now)
    _count_backfills(data, [change for change in changes if change.state.terminal], now)
    for change in changes:
        record = change.run.record
        keep_events(data, [(change.finished_at, record.job_id, record.run_id, event) for event in change.events])
    return records


def _settle_one(data: MemoryData, change: Change[LiveRun], now: int) -> RunRecord:
    before = change.run.record
    record = structs.replace(
        before,
        state=change.state,
        attempt=change.attempt,
        rescues=change.rescues,
        available_at=before.available_at if change.available_at is None else change.available_at,
        error_type=change.error_type,
        error_message=change.error_message,
        error_detail=change.error_detail,
    )
    data.rows.drop_stage(record.run_id)
    if change.state.terminal:
        record = structs.replace(
            record, finished_at=change.finished_at, value=change.value, item_count=change.item_count
        )
        data.end(change.run, record)
    else:
        registered = data.registered.get(record.job_id)
        if registered is not None and change.run.is_counted:
            change.run.limits = registered.limits
        data.change(change.run, record, data.place_of(record, now))
    return record


def _keep_limits(data: MemoryData, run: LiveRun) -> None:
    record = run.record
    if run.limits and record.epoch is not None:
        data.kept[record.run_id, record.fence] = KeptLimits(record.epoch, tuple(key for key, _ in run.limits))


def let_go(data: MemoryData, run_id: str, fence: int, now: int) -> None:
    """Give back the places that an ended attempt has kept, if it still does."""
    kept = data.kept.pop((run_id, fence), None)
    if kept is not None:
        lower_counters(data, Counter(kept.keys), now)


def let_go_of_dead(data: MemoryData, now: int) -> None:
    """Give back all places that epochs keep which have ended."""
    for (run_id, fence), kept in list(data.kept.items()):
        if kept.epoch not in data.nodes:
            let_go(data, run_id, fence, now)


def lower_counters(data: MemoryData, held: Counter[str], now: int) -> None:
    """Give back that many slots of each key; a key with 0 only has its parked runs looked at again."""
    for key, count in held.items():
        if count:
            data.counters[key] -= count
            if data.counters[key] <= 0:
                del data.counters[key]
        data.unpark(key, max(1, count), now)


def _count_backfills(data: MemoryData, changes: Sequence[Change[LiveRun]], now: int) -> None:
    ended: dict[str, list[Change[LiveRun]]] = {}
    for change in changes:
        record = change.run.record
        owner = () if record.backfill_id is None else (record.backfill_id,)
        for backfill_id in (*sorted(data.joined.pop(record.run_id, ())), *owner):
            ended.setdefault(backfill_id, []).append(change)
    for backfill_id, ends in ended.items():
        if backfill_id in data.backfills:
            _count(data, backfill_id, Counter(change.state for change in ends))
            if data.backfills[backfill_id].downstream and _awaiting(data, backfill_id):
                data.paint(ran_marks(backfill_id, [(change.state, change.run.record) for change in ends]))
            close_backfill(data, backfill_id, now)


def _count(data: MemoryData, backfill_id: str, ends: Counter[RunState]) -> None:
    row = data.backfills[backfill_id]
    data.backfills[backfill_id] = replace(
        row,
        live_count=row.live_count - ends.total(),
        succeeded_count=row.succeeded_count + ends[RunState.SUCCEEDED],
        failed_count=row.failed_count + ends[RunState.FAILED],
        cancelled_count=row.cancelled_count + ends[RunState.CANCELLED] + ends[RunState.SKIPPED],
    )


def close_backfill(data: MemoryData, backfill_id: str, now: int) -> BackfillRow:
    """Stop a backfill after its failure, or finish it when nothing of it is left; return it as it stands."""
    row = data.backfills[backfill_id]
    state = end_of_backfill(row)
    return row if state is None else end_backfill(data, backfill_id, state, now)


def end_backfill(data: MemoryData, backfill_id: str, state: BackfillState, now: int) -> BackfillRow:
    """Put a backfill into a terminal state and cancel its runs that nobody holds.

    Runs that a schedule or another backfill wants too are left to them, and count as cancelled here.
    """
    data.backfills[backfill_id] = replace(data.backfills[backfill_id], state=state, finished_at=now)
    left = _leave_to_others(data, backfill_id)
    if left:
        _count(data, backfill_id, Counter({RunState.CANCELLED: left}))
    runs = [data.live[run_id] for run_id in sorted(data.runs_of_backfill.get(backfill_id, ()))]
    idle = [run for run in runs if run.record.state is not RunState.RUNNING]
    why = f"its backfill was {state.value}"
    settle(data, [_cancellation(run, now, why) for run in idle], now)
    data.unpark(backfill_key(backfill_id), FULL, now)  # those that are left to others, if it was paused
    if state is BackfillState.CANCELLED:
        for run in runs:
            if run.record.run_id in data.live:
                request_cancel(data, run)
        for row in _awaiting(data, backfill_id):
            end_backfill(data, row.backfill_id, state, now)
    data.version += 1
    row = data.backfills[backfill_id]
    for one in (backfill_id, *row.after):
        if not _awaiting(data, one):
            data.done.pop(ran_in(one), None)
    return row


def _awaiting(data: MemoryData, backfill_id: str) -> list[BackfillRow]:
    """Return the backfills that come after this one and have not ended: only those read what ran in it."""
    return [row for row in data.backfills.values() if backfill_id in row.after and row.state in OPEN_BACKFILL]


def _leave_to_others(data: MemoryData, backfill_id: str) -> int:
    """Take a backfill off the runs that others want too; return how many."""
    left = 0
    for run_id, others in list(data.joined.items()):
        if backfill_id in others:
            left += 1
            _forget_joined(data, run_id, backfill_id)
    for run_id in sorted(data.runs_of_backfill.get(backfill_id, ())):
        run = data.live[run_id]
        heir = min(data.joined.get(run_id, ()), default=None)
        if heir is None and run.record.kind is RunKind.BACKFILL:
            continue
        left += 1
        if heir is not None:
            _forget_joined(data, run_id, heir)
        data.change(run, structs.replace(run.record, backfill_id=heir), run.place, key=run.parked)
    return left


def _forget_joined(data: MemoryData, run_id: str, backfill_id: str) -> None:
    data.joined[run_id].discard(backfill_id)
    if not data.joined[run_id]:
        del data.joined[run_id]


def _cancellation(run: LiveRun, now: int, why: str = ON_REQUEST) -> Change[LiveRun]:
    return cancelled(run, attempt=run.record.attempt, rescues=run.record.rescues, now=now, why=why)


def _holds(record: RunRecord, command: Finish) -> bool:
    mine = (RunState.RUNNING, command.epoch, command.fence, command.attempt)
    return (record.state, record.epoch, record.fence, record.attempt) == mine
