"""What a store answers to an enqueue that it knows already: the same in every store."""

from collections.abc import Mapping

from msgspec import structs

from mainspring.errors import IdempotencyError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._limits import Registered
from mainspring.jobs.stores._records import (
    COUNTED,
    NEXT_GENERATION,
    Enqueue,
    EnqueueAnswer,
    NewRun,
    RunKind,
    RunRecord,
)


def enqueued_again(command: Enqueue, record: RunRecord | None) -> EnqueueAnswer:
    """Answer an enqueue that was sent again, given the run as it stands."""
    held = record is not None and record.state is RunState.RUNNING and record.epoch == command.claim_epoch
    return EnqueueAnswer(
        outcome="created",
        run_id=command.run.run_id,
        claimed=record if held else None,
        record=None if held else record,
    )


def key_used_again(
    run: NewRun, run_id: str, arguments_hash: bytes | None, record: RunRecord | None
) -> EnqueueAnswer | IdempotencyError:
    """Answer an enqueue whose idempotency key belongs to run `run_id`, which was called with other arguments or not."""
    if arguments_hash != run.arguments_hash:
        return IdempotencyError(key=run.idempotency_key or "", run_id=run_id)
    return EnqueueAnswer(outcome="existing", run_id=run_id, record=record)


def generation_of(run: NewRun, latest: int | None) -> int:
    """Return the generation that a new run of an occurrence gets; `latest` is the highest that has ended."""
    return run.generation if run.generation != NEXT_GENERATION else (latest or 0) + 1


def is_takeover(run: NewRun, live: RunRecord) -> bool:
    """Tell whether a schedule comes to a run that a backfill made: it must not wait for the backfill's slots."""
    return run.kind is RunKind.SCHEDULE and live.kind is RunKind.BACKFILL


def is_counted(run: NewRun) -> bool:
    """Tell whether a run holds its job's limits."""
    return run.kind in COUNTED and run.occurrence is not None


def under_registered(run: NewRun, registered: Mapping[str, Registered]) -> NewRun:
    """Return a run under what its job was registered with last, whatever the code says that makes it.

    So the runs of one job never wait under two numbers, however many programs with different code make them.
    """
    if not registered or not is_counted(run) or (said := registered.get(run.job_id)) is None:
        return run
    priority = said.priority if run.kind is RunKind.SCHEDULE else run.priority
    if (run.limits, run.priority) == (said.limits, priority):
        return run
    return structs.replace(run, limits=said.limits, priority=priority)
