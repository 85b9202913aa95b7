"""Errors of floor 6: jobs, dataflow, services."""

from collections.abc import Sequence
from typing import Final

from mainspring.errors._parts import StorageError
from mainspring.errors._root import MainspringError
from mainspring.errors._words import did_you_mean

_MOST_KNOWN: Final = 20


class StoreTakenError(StorageError, RuntimeError):
    """The job store belongs to another app; nothing in it was looked at or changed."""

    owner: str
    app: str

    def __init__(self, *, store: str, owner: str, app: str) -> None:
        super().__init__(
            f"the job store {store} belongs to the app {owner!r}, and {app!r} is another one",
            hint=(
                f'give {app!r} a store of its own, as store="sqlite:///{app}.db"; '
                f"or, if the two are one app, the same label; "
                f"or, if {owner!r} has got a new name, say so: JobApp({app!r}, was=({owner!r},))"
            ),
            store=store,
            owner=owner,
            app=app,
        )


class JobError(MainspringError):
    """Root of what jobs raise."""


class UnknownJobError(JobError, KeyError):
    """No job of this id is registered."""

    job_id: str
    known: tuple[str, ...]

    def __init__(self, *, job_id: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"there is no job {job_id!r}",
            hint=_hint_of(job_id, known),
            job_id=job_id,
            known=known,
        )


def _hint_of(job_id: str, known: Sequence[str]) -> str:
    """Return the job that was meant, or those that there are."""
    if not known:
        return "no job is registered; is the module imported, and the function decorated with @app.job()?"
    some = ", ".join(known[:_MOST_KNOWN]) + (", ..." if len(known) > _MOST_KNOWN else "")
    near = did_you_mean(job_id, known)
    return f"known jobs: {some}" if near is None else f"{near} known jobs: {some}"


class UnknownRunError(JobError, KeyError):
    """The store has no run of this id: there never was one, or its record was removed."""

    run_id: str

    def __init__(self, *, run_id: str) -> None:
        super().__init__(
            f"there is no run {run_id!r} in the store",
            hint="app.runs() and `mainspring runs` list what there is; retention and edits by hand remove records",
            run_id=run_id,
        )


class UnknownBackfillError(JobError, KeyError):
    """No backfill of this id is stored."""

    backfill_id: str

    def __init__(self, *, backfill_id: str) -> None:
        super().__init__(f"there is no backfill {backfill_id!r}", backfill_id=backfill_id)


class LeaseLostError(JobError, RuntimeError):
    """The node's epoch is dead: other nodes may have taken its runs."""

    epoch: int

    def __init__(self, *, epoch: int) -> None:
        super().__init__(
            f"this node's lease (epoch {epoch}) has ended",
            hint="the node takes a new epoch by itself; was the process suspended or its loop blocked?",
            epoch=epoch,
        )


class LeaseTakenError(JobError, RuntimeError):
    """Another holder has a lease that was wanted at once."""

    lease: str
    node: str

    def __init__(self, *, lease: str, node: str) -> None:
        super().__init__(
            f"the lease {lease!r} is held by the node {node}",
            hint="wait for it, with wait=True",
            lease=lease,
            node=node,
        )


class StaleFenceError(JobError, RuntimeError):
    """A newer claim holds the run; the late write was refused and nothing of it was kept."""

    run_id: str
    fence: int

    def __init__(self, *, run_id: str, fence: int) -> None:
        super().__init__(f"run {run_id} is no longer held under fence {fence}", run_id=run_id, fence=fence)


class IdempotencyError(JobError, ValueError):
    """An idempotency key was used again with other arguments."""

    key: str
    run_id: str

    def __init__(self, *, key: str, run_id: str) -> None:
        super().__init__(
            f"the idempotency key {key!r} belongs to run {run_id}, which had other arguments",
            hint="use a new key, or the same job, config and scheduled time",
            key=key,
            run_id=run_id,
        )


class JobDefinitionError(JobError, ValueError):
    """A job was declared in a way that cannot work; names the handler's file and line."""

    job_id: str
    place: str
    problem: str

    def __init__(self, *, job_id: str, place: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"{place}: job {job_id!r}: {problem}", hint=hint, job_id=job_id, place=place, problem=problem)


class NeedsError(JobError, ValueError):
    """A job needs something that can never be there."""

    job_id: str
    problem: str

    def __init__(self, *, job_id: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"job {job_id!r} {problem}", hint=hint, job_id=job_id, problem=problem)


class JobTimeoutError(JobError, TimeoutError):
    """An attempt took longer than the job's timeout."""

    job_id: str
    timeout: float

    def __init__(self, *, job_id: str, timeout: float) -> None:
        super().__init__(
            f"a run of {job_id!r} did not end within {timeout:g} s",
            hint="raise timeout=, or make the handler await something it can be cancelled in",
            job_id=job_id,
            timeout=timeout,
        )


class RunFailedError(JobError, RuntimeError):
    """A run that was expected to succeed ended otherwise."""

    run_id: str
    job_id: str
    state: str
    reason: str | None

    def __init__(self, *, run_id: str, job_id: str, state: str, reason: str | None) -> None:
        because = "" if reason is None else f": {reason}"
        super().__init__(
            f"run {run_id} of {job_id!r} is {state}{because}", run_id=run_id, job_id=job_id, state=state, reason=reason
        )


class ApplicationFailedError(MainspringError, RuntimeError):
    """The application that a server serves did not start, or did not stop as it should.

    The cause is what the application raised, if it did.
    """

    service: str
    action: str
    reason: str

    def __init__(self, *, service: str, action: str, reason: str) -> None:
        super().__init__(
            f"the application of {service} did not {action}: {reason}", service=service, action=action, reason=reason
        )


class StageFailedError(MainspringError, RuntimeError):
    """A worker of a dataflow died again and again, so the dataflow has ended."""

    flow: str
    stage: str
    worker: str
    exit_code: int | None
    tries: int
    reason: str

    def __init__(self, *, flow: str, stage: str, worker: str, exit_code: int | None, tries: int, reason: str) -> None:
        because = f": {reason}" if reason else ""
        super().__init__(
            f"worker {worker} ({stage}) of {flow!r} died {tries} times, last with exit code {exit_code}{because}",
            hint="its traceback is on standard error; restart= says how often a worker is restarted",
            flow=flow,
            stage=stage,
            worker=worker,
            exit_code=exit_code,
            tries=tries,
            reason=reason,
        )


class EdgeUnavailableError(MainspringError, ConnectionError):
    """The NATS server that carries an edge of a dataflow cannot be used."""

    stream: str
    address: str
    reason: str

    def __init__(self, *, stream: str, address: str, reason: str) -> None:
        super().__init__(
            f"the stream {stream!r} of the NATS server at {address} cannot be used: {reason}",
            hint="is `nats-server -js` running there, and does it let this program in?",
            stream=stream,
            address=address,
            reason=reason,
        )
