"""Keeping a number of workers alive: starting, replacing, ending them. Knows nothing of what waits for them."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from mainspring.base import Backoff, current_random
from mainspring.concurrency._child_main import Packed
from mainspring.concurrency._child_start import StartMethod, not_started
from mainspring.concurrency._worker import Task, Worker, WorkerOwner
from mainspring.concurrency._worker_ledger import Ledger
from mainspring.errors import ChildStartError, WorkerPoolClosedError

log = logging.getLogger(__name__)

_RESTARTS: Final = Backoff(0.05, maximum=1.0, max_tries=7)
_KILL_GRACE: Final = 5.0  # seconds for the kernel to end what was killed


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What the workers of one pool have in common."""

    name: str
    start_method: StartMethod
    initializer: Packed
    max_tasks: int | None
    recycle: float | None
    shared_memory: int | None


class CrewOwner(WorkerOwner, Protocol):
    """Who the workers work for: the pool."""

    def on_spawning(self, change: int) -> None:
        """One worker more, or less, is being started."""
        ...

    def on_ready(self, worker: Worker) -> None:
        """A worker takes tasks from now on."""
        ...

    def on_gone(self, worker: Worker) -> None:
        """A worker has ended, and its last answers were taken; what is in flight there is for the owner."""
        ...

    def on_broken(self, error: BaseException) -> None:
        """No worker can be kept alive."""
        ...


class WorkerCrew:
    """A fixed number of slots, each with a task that keeps a worker in it.

    Attributes:
        alive: the workers that take tasks.
    """

    alive: list[Worker]

    def __init__(self, owner: CrewOwner, spec: WorkerSpec, size: int) -> None:
        self._owner = owner
        self._spec = spec
        self._size = size
        self._ledger: Ledger | None = None
        self._closing = False
        self._serving: dict[int, Worker] = {}
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self.alive = []

    async def start(self) -> None:
        """Start a worker in each slot; wait until all are ready, or the first fails.

        Raises:
            ChildStartError: a process did not start, or ended before it was ready.
            TaskNotPicklableError: the initializer cannot travel.
            Exception: what the initializer raised.
        """
        loop = asyncio.get_running_loop()
        try:
            self._ledger = ledger = Ledger(self._size)
        except OSError as error:
            raise not_started(f"the workers of {self._spec.name}", error) from error
        firsts = [loop.create_future() for _ in range(self._size)]
        for slot, first in enumerate(firsts):
            keeper = self._keep(slot, ledger, first)
            self._keepers[slot] = loop.create_task(keeper, name=f"keeper of {self._spec.name} {slot}")
        await _all_or_first_error(firsts)

    def in_flight(self) -> list[Task]:
        """Return what was sent and not answered, by workers that were lost and are not yet gone too."""
        return [task for worker in self._serving.values() for task in worker.in_flight.values()]

    def lose(self, worker: Worker) -> None:
        """Leave a worker out from now on."""
        if worker in self.alive:
            self.alive.remove(worker)

    async def close(self, *, grace: float) -> None:
        """Interrupt what runs, end the workers, kill those that take longer than `grace` seconds."""
        self._closing = True
        for slot, keeper in self._keepers.items():
            if (worker := self._serving.get(slot)) is None:
                keeper.cancel()
                continue
            for task in tuple(worker.in_flight.values()):
                worker.cancel(task, grace=grace)
            worker.retire()
        keepers = set(self._keepers.values())
        if keepers:
            await asyncio.wait(keepers, timeout=grace)
            for worker in self._serving.values():
                worker.child.kill()
            await asyncio.wait(keepers, timeout=_KILL_GRACE)
        if self._ledger is not None:
            self._ledger.close()

    async def _keep(self, slot: int, ledger: Ledger, first: "asyncio.Future[None]") -> None:
        """Keep one worker alive in this slot until the crew closes; the first is told to `first`."""
        try:
            await self._keep_alive(slot, ledger, first)
        finally:
            if not first.done():
                first.set_exception(WorkerPoolClosedError())

    async def _keep_alive(self, slot: int, ledger: Ledger, first: "asyncio.Future[None]") -> None:
        delays = _RESTARTS.delays()
        while not self._closing:
            worker = Worker(self._owner, ledger, slot, self._spec.max_tasks, self._spec.shared_memory)
            try:
                await self._start(worker, slot)
            except ChildStartError as error:
                delay = next(delays, None)
                if not first.done() or (delay is None and not self.alive):
                    self._break(error, first)
                    return
                log.warning("%s; trying again", error)
                await asyncio.sleep(_RESTARTS.maximum if delay is None else delay)
                continue
            except Exception as error:  # noqa: BLE001  # supervisor: whoever uses the pool gets it
                self._break(error, first)
                return
            delays = _RESTARTS.delays()
            if not first.done():
                first.set_result(None)
            await self._serve(worker, slot)

    async def _start(self, worker: Worker, slot: int) -> None:
        self._owner.on_spawning(1)
        try:
            await worker.start(f"{self._spec.name} {slot}", self._spec.start_method, self._spec.initializer)
        finally:
            self._owner.on_spawning(-1)

    async def _serve(self, worker: Worker, slot: int) -> None:
        self._serving[slot] = worker
        if not worker.lost:  # it may have died since it said that it is ready
            self.alive.append(worker)
            self._owner.on_ready(worker)
        retiring = self._retire_later(worker)
        try:
            await worker.gone()
        finally:
            if retiring is not None:
                retiring.cancel()
            del self._serving[slot]
            self._owner.on_gone(worker)

    def _retire_later(self, worker: Worker) -> asyncio.TimerHandle | None:
        if self._spec.recycle is None:
            return None
        # Spread, so that workers that began together do not end together.
        age = self._spec.recycle * current_random().uniform(1.0, 1.25)
        return asyncio.get_running_loop().call_later(age, worker.retire_when_idle)

    def _break(self, error: BaseException, first: "asyncio.Future[None]") -> None:
        if not first.done():
            first.set_exception(error)
        elif not self._closing:
            self._owner.on_broken(error)


async def _all_or_first_error(futures: "list[asyncio.Future[None]]") -> None:
    """Wait for all; raise the first error at once, leaving no other unretrieved."""
    try:
        await asyncio.gather(*futures)
    finally:
        for future in futures:
            if future.done() and not future.cancelled():
                future.exception()
            future.cancel()
