"""New runs in memory: plain calls, hot claims, occurrences and idempotency keys."""

from collections.abc import Sequence

from msgspec import structs

from mainspring.errors import IdempotencyError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._answers import (
    enqueued_again,
    generation_of,
    is_takeover,
    key_used_again,
    under_registered,
)
from mainspring.jobs.stores._memory_configs import config_version_of
from mainspring.jobs.stores._memory_data import KeyUse, LiveRun, MemoryData
from mainspring.jobs.stores._records import (
    NEXT_GENERATION,
    Enqueue,
    EnqueueAnswer,
    NewRun,
    RunKind,
    RunRecord,
)


def enqueue_all(data: MemoryData, commands: Sequence[Enqueue], now: int) -> list[EnqueueAnswer]:
    """Create all runs or none.

    Raises:
        IdempotencyError: a key was used with other arguments, before or among these.
    """
    _refuse_misused_keys(data, commands, now)
    return [enqueue(data, command, now) for command in commands]


def enqueue(data: MemoryData, command: Enqueue, now: int) -> EnqueueAnswer:
    """Create one run.

    Raises:
        IdempotencyError: the key was used with other arguments.
    """
    run = command.run
    known = data.find(run.run_id)
    if known is not None:
        return enqueued_again(command, known)
    key = run.idempotency_key
    if key is not None:
        used = data.keys.get(key, now)
        if used is not None:
            again = key_used_again(run, used.run_id, used.arguments_hash, data.find(used.run_id))
            if isinstance(again, IdempotencyError):
                raise again
            return again
    if run.occurrence is not None or run.backfill_id is not None:
        answer = create(data, run, now)
    else:
        answer = _plain(data, command, now)
    if key is not None:
        data.keys.put(key, KeyUse(answer.run_id, run.arguments_hash, run.key_expires_at or now))
    return answer


def create(data: MemoryData, run: NewRun, now: int) -> EnqueueAnswer:
    """Create one run of an occurrence, or join the one that is there."""
    run = under_registered(run, data.registered)
    if run.occurrence is None:
        return _add(data, run, now, generation=run.generation or 1, previous_run=run.previous_run)
    key = (run.job_id, run.occurrence)
    live = data.live_occurrences.get(key)
    if live is not None:
        return _join(data, run, data.live[live], now)
    ended = data.ended_occurrences.get(key, {})
    latest = max(ended, default=None)
    if run.generation != NEXT_GENERATION and run.generation in ended:
        record = data.ended[ended[run.generation]]
        return EnqueueAnswer(outcome="existing", run_id=record.run_id, record=record)
    previous_run = run.previous_run or (None if latest is None else ended[latest])
    return _add(data, run, now, generation=generation_of(run, latest), previous_run=previous_run)


def _refuse_misused_keys(data: MemoryData, commands: Sequence[Enqueue], now: int) -> None:
    new: dict[str, NewRun] = {}
    for command in commands:
        run, key = command.run, command.run.idempotency_key
        if key is None or data.find(run.run_id) is not None:
            continue
        used = data.keys.get(key, now)
        if used is not None and used.arguments_hash != run.arguments_hash:
            raise IdempotencyError(key=key, run_id=used.run_id)
        first = new.setdefault(key, run)
        if first.run_id != run.run_id and first.arguments_hash != run.arguments_hash:
            if (first.key_expires_at or now) > now:
                raise IdempotencyError(key=key, run_id=first.run_id)
            new[key] = run


def _plain(data: MemoryData, command: Enqueue, now: int) -> EnqueueAnswer:
    run, epoch = command.run, command.claim_epoch
    if epoch is None or not _may_claim(data, run, epoch, now):
        return _add(data, run, now, generation=run.generation or 1, previous_run=run.previous_run)
    record = _record(run, now, generation=1, previous_run=run.previous_run)
    record = structs.replace(
        record,
        config_version=config_version_of(data, record, run.config_as_of, now),
        state=RunState.RUNNING,
        attempt=1,
        fence=data.next_fence(),
        epoch=epoch,
        started_at=now,
    )
    data.insert(LiveRun(record, limits=(), occurrence=None), now)
    return EnqueueAnswer(outcome="created", run_id=run.run_id, claimed=record)


def _may_claim(data: MemoryData, run: NewRun, epoch: int, now: int) -> bool:
    if run.limits or run.priority or run.generation > 1:
        return False
    if run.state is not RunState.AVAILABLE or run.available_at > now:
        return False
    job = data.jobs.get(run.job_id)
    if epoch not in data.nodes or (job is not None and job.paused):
        return False
    data.promote(now)
    return not data.ready.any_before(run.queue, 0)


def _add(data: MemoryData, run: NewRun, now: int, *, generation: int, previous_run: str | None) -> EnqueueAnswer:
    record = _record(run, now, generation=generation, previous_run=previous_run)
    live = LiveRun(record, limits=run.limits, occurrence=run.occurrence, config_as_of=run.config_as_of, skips=run.skips)
    data.insert(live, now)
    return EnqueueAnswer(outcome="created", run_id=run.run_id)


def _record(run: NewRun, now: int, *, generation: int, previous_run: str | None) -> RunRecord:
    return RunRecord(
        run_id=run.run_id,
        job_id=run.job_id,
        kind=run.kind,
        state=run.state,
        queue=run.queue,
        priority=run.priority,
        generation=generation,
        attempt=0,
        rescues=0,
        fence=0,
        epoch=None,
        created_at=now,
        available_at=run.available_at,
        scheduled_at=run.scheduled_at,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        config=run.config,
        backfill_id=run.backfill_id,
        previous_run=previous_run,
        parent_run=run.parent_run,
        config_version=run.config_version,
    )


def _join(data: MemoryData, run: NewRun, live: LiveRun, now: int) -> EnqueueAnswer:
    """Make the live run of an occurrence count for its second creator too."""
    before = live.record
    answer = EnqueueAnswer(outcome="joined", run_id=before.run_id, record=before)
    if before.run_id == run.run_id:
        return answer
    record = structs.replace(
        before, priority=max(before.priority, run.priority), backfill_id=before.backfill_id or run.backfill_id
    )
    if run.backfill_id is not None and record.backfill_id != run.backfill_id:
        data.joined.setdefault(before.run_id, set()).add(run.backfill_id)
    place, key = live.place, live.parked
    if is_takeover(run, before):
        record = structs.replace(record, kind=RunKind.SCHEDULE)
        place, key = data.place_of(record, now), ""
        live.config_as_of = None
        if before.state is not RunState.RUNNING:
            live.limits = run.limits
    if record != before:
        data.change(live, record, place, key=key)
    return answer
