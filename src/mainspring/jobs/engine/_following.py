"""Runs that follow from other runs: those that a handler spawns, and those that do an ended one again."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from mainspring.base import new_id
from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._calls import check_key, new_call, new_generation
from mainspring.jobs.engine._declarations import Declarations, Job
from mainspring.jobs.engine._results import RunResult
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import EnqueueAnswer, NewRun, RunKind, RunRecord

if TYPE_CHECKING:
    from mainspring.jobs.engine._leases import HeldLease
    from mainspring.jobs.engine._parts import OpenApp

T = TypeVar("T")


class SpawnedRun:
    """A run that a handler spawned; made by `JobContext.spawn()`."""

    __slots__ = ("_app", "_record", "job_id", "run_id")

    def __init__(self, app: "FollowUps", job_id: str, run_id: str, record: RunRecord | None) -> None:
        self._app = app
        self._record = record
        self.job_id = job_id
        self.run_id = run_id

    async def wait(self) -> RunResult:
        """Wait for its end and return the outcome; meanwhile the waiting run's slot is free for others.

        Cancelling the wait does not touch the run.

        Raises:
            UnknownRunError: the store has the run no more.
            ClosedError: the app was closed first.
        """
        if self._record is None or not self._record.state.terminal:
            self._record = await self._app.wait_for_run(self.run_id)
        return RunResult.of(self._record)

    def __repr__(self) -> str:
        return f"<SpawnedRun {self.run_id} of {self.job_id}>"


class FollowUps(Declarations, ABC):
    """The half of a `JobApp` that makes runs out of runs."""

    @abstractmethod
    async def open(self, *, runner: bool = True, guest: bool = False) -> "OpenApp":
        """Open store and runner."""

    async def waiting(self, awaitable: Awaitable[T]) -> T:
        """Wait for what other runs do; in a handler, its slot is free for others meanwhile."""
        return await (await self.open()).node.waiting(awaitable)

    @asynccontextmanager
    async def lease(self, name: str, *, wait: bool = True) -> "AsyncGenerator[HeldLease]":
        """Hold a lease within the block: of all processes on the store one at a time has it. See `Lease`.

        Raises:
            LeaseTakenError: somebody has it, and `wait` is False.
            LeaseLostError: it could not be kept; what the block then awaited was cancelled.
            InvalidArgumentError: the name is too short or too long.
            StorageError: the store cannot be asked.
        """
        from mainspring.jobs.engine._leases import check_lease_name

        check_lease_name(name)
        opened = await self.open()
        async with opened.leases.hold(name, wait=wait) as held:
            yield held

    async def wait_for_run(self, run_id: str) -> RunRecord:
        """Wait until a run has ended.

        Raises:
            UnknownRunError: the store has no run of this id.
            ClosedError: the app was closed first.
        """
        opened = await self.open()
        return await opened.node.waiting(opened.waiters.wait(run_id, look=True))

    async def spawn(
        self, parent_run: str, job: Job, config: Mapping[str, object] | None = None, *, key: str | None = None
    ) -> SpawnedRun:
        """Create a run on behalf of one that runs here; see `JobContext.spawn()`.

        Raises:
            UnknownJobError: the job is not registered.
            InvalidArgumentError: `parent_run` does not run in this app, or the key is no text of 1 to 1024 characters.
            IdempotencyError: the key was used with another config.
            ConfigError: with `config` the job's config does not fit its schema.
        """
        definition = self._registry[job]
        check_key("key", key)
        opened = await self.open()
        parent = opened.node.running_record(parent_run)
        if parent is None:
            raise InvalidArgumentError(argument="parent_run", value=parent_run, expected="a run that runs in this app")
        known = self._registry.definitions
        name = None if key is None else _spawn_name(parent_run, definition.oldest_id(known), key)
        call = new_call(definition, config, None, key=name, now=opened.store.now(), known=known)
        await opened.configs.check_call(definition, call.config)
        run = replace(call, kind=RunKind.SPAWN, parent_run=parent_run)
        answer = await opened.node.enqueue(run, claim=True)
        repeats = count(2)
        while name is not None and _failed_before(answer, parent):
            run = _again(call, answer, f"{name}#{next(repeats)}", parent_run)
            answer = await opened.node.enqueue(run, claim=True)
        return SpawnedRun(self, definition.job_id, answer.run_id, answer.claimed or answer.record)

    async def retry(self, run_id: str, *, latest_config: bool = False) -> RunRecord:
        """Do an ended run again: its next generation, linked to it. Two retries at the same time make one run.

        Args:
            run_id: its id, or an unambiguous beginning of it.
            latest_config: start with the version of the stored config that is in force then, not with the run's own.

        Raises:
            InvalidArgumentError: there is no such run, it has not ended, or it is the record of a skipped range.
            UnknownJobError: its job is not registered.
        """
        opened = await self.open()
        record = await opened.store.run(run_id)
        if record is None:
            raise InvalidArgumentError(
                argument="RUN",
                value=run_id,
                expected="the id of a run, or an unambiguous beginning of it of 6 characters or more",
                hint="app.runs() and `mainspring runs` list them",
            )
        definition = self._registry[record.job_id]
        while True:
            run = new_generation(definition, record, now=opened.store.now(), latest_config=latest_config)
            answer = await opened.node.enqueue(run, claim=False)
            found = answer.record or await opened.store.run(answer.run_id)
            if found is None:
                raise InvalidArgumentError(argument="RUN", value=answer.run_id, expected="a run that is kept")
            if answer.outcome != "existing" or not found.state.terminal:
                opened.needs.changed()
                return found
            record = found  # it was done again before, and that has ended too


def _spawn_name(parent_run: str, job_id: str, key: str) -> str:
    """Return what names a keyed child among all runs; no other has it, nor one behind which `#` and a number stand."""
    job = job_id.replace("%", "%25").replace("/", "%2F")
    return f"{parent_run}/{job}/{key.replace('%', '%25').replace('#', '%23')}"


def _failed_before(answer: EnqueueAnswer, parent: RunRecord) -> bool:
    """Tell whether a key belongs to a run that came to no good in an earlier attempt of its parent."""
    record = answer.record
    if answer.outcome != "existing":
        return False
    if record is None:  # it was pruned
        return True
    good = record.state is RunState.SUCCEEDED or not record.state.terminal
    return not good and (record.finished_at or 0) < (parent.started_at or 0)


def _again(call: NewRun, answer: EnqueueAnswer, key: str, parent_run: str) -> NewRun:
    generation = 2 if answer.record is None else answer.record.generation + 1
    return replace(
        call,
        run_id=new_id(),
        kind=RunKind.SPAWN,
        parent_run=parent_run,
        idempotency_key=key,
        generation=generation,
        previous_run=answer.run_id,
    )
