"""Which tasks that were sent ahead to a worker come back, because another one would begin them sooner."""

import asyncio
from typing import Final

from mainspring.concurrency._worker import Worker
from mainspring.concurrency._worker_crew import WorkerCrew

_IDLE_DELAY: Final = 0.002  # seconds that an idle worker leaves short tasks to where they were sent
_LOOK_INTERVAL: Final = 0.01  # seconds between two looks for tasks that turn out to be long


class WorkerBalance:
    """Watches over tasks that wait in their worker behind the one that it runs.

    They come back when a worker has had nothing to do for a moment, and when the task before them takes long while
    other workers are kept busy by newcomers.
    """

    def __init__(self, crew: WorkerCrew) -> None:
        self._crew = crew
        self._sharing: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._seen_first: dict[Worker, int] = {}

    def on_sent(self, worker: Worker) -> None:
        """A task was sent, which may wait behind another."""
        if self._looking is None and len(worker.in_flight) > 1:
            self._look_later()

    def on_idle(self) -> None:
        """A worker has nothing to do, and nothing waits for it."""
        if self._sharing is None and any(len(worker.in_flight) > 1 for worker in self._crew.alive):
            self._sharing = asyncio.get_running_loop().call_later(_IDLE_DELAY, self._share)

    def stop(self) -> None:
        """Leave everything where it is from now on."""
        for timer in (self._sharing, self._looking):
            if timer is not None:
                timer.cancel()

    def _share(self) -> None:
        """Call half of what waits in the fullest workers back, one such worker for each that is idle."""
        self._sharing = None
        alive = self._crew.alive
        idle = sum(worker.has_room and not worker.in_flight for worker in alive)
        for worker in sorted(alive, key=lambda worker: -len(worker.in_flight))[:idle]:
            if (waiting := len(worker.in_flight) - 1) > 0:
                worker.recall((waiting + 1) // 2)

    def _look(self) -> None:
        """Call everything back that waits behind a task which was there at the last look, too."""
        self._looking = None
        first = {worker: next(iter(worker.in_flight)) for worker in self._crew.alive if len(worker.in_flight) > 1}
        if len(self._crew.alive) > 1:
            for worker, number in first.items():
                if self._seen_first.get(worker) == number:
                    worker.keep_only_first()
        self._seen_first = first
        if first:
            self._look_later()

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(_LOOK_INTERVAL, self._look)
