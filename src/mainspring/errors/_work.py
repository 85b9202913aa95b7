"""Errors of floor 6: jobs, dataflow, services."""

from mainspring.errors._root import MainspringError


class JobError(MainspringError):
    """Root of what jobs raise."""


class UnknownJobError(JobError, KeyError):
    """No job of this id is registered."""

    def __init__(self, *, job_id: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"there is no job {job_id!r}",
            hint=f"known jobs: {', '.join(known)}" if known else "no job is registered; is the module imported?",
            job_id=job_id,
            known=known,
        )


class UnknownBackfillError(JobError, KeyError):
    """No backfill of this id is stored."""

    def __init__(self, *, backfill_id: str) -> None:
        super().__init__(f"there is no backfill {backfill_id!r}", backfill_id=backfill_id)


class LeaseLostError(JobError, RuntimeError):
    """The node's epoch is dead: other nodes may have taken its runs."""

    def __init__(self, *, epoch: int) -> None:
        super().__init__(
            f"this node's lease (epoch {epoch}) has ended",
            hint="the node takes a new epoch by itself; was the process suspended or its loop blocked?",
            epoch=epoch,
        )


class StaleFenceError(JobError, RuntimeError):
    """A newer claim holds the run; the late write was refused and nothing of it was kept."""

    def __init__(self, *, run_id: str, fence: int) -> None:
        super().__init__(f"run {run_id} is no longer held under fence {fence}", run_id=run_id, fence=fence)


class IdempotencyError(JobError, ValueError):
    """An idempotency key was used again with other arguments."""

    def __init__(self, *, key: str, run_id: str) -> None:
        super().__init__(
            f"the idempotency key {key!r} belongs to run {run_id}, which had other arguments",
            hint="use a new key, or the same job, config and scheduled time",
            key=key,
            run_id=run_id,
        )
