"""Indexes of the store in memory: what is next, without a look at all the others."""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence

Order = tuple[int, ...]
_SLACK = 64  # entries of runs that left which a heap may keep besides those of runs that are there


class RunHeap:
    """Run ids, smallest order first.

    A run that leaves stays in the heap until it comes up; `_orders` says which entries still count.
    """

    __slots__ = ("_heap", "_orders")

    def __init__(self) -> None:
        self._heap: list[tuple[Order, str]] = []
        self._orders: dict[str, Order] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, run_id: str, order: Order) -> None:
        """Add a run that is not there."""
        self._orders[run_id] = order
        heapq.heappush(self._heap, (order, run_id))

    def discard(self, run_id: str) -> None:
        """Drop a run, if it is there."""
        if self._orders.pop(run_id, None) is not None and len(self._heap) > 2 * len(self._orders) + _SLACK:
            self._heap = [(order, one) for one, order in self._orders.items()]
            heapq.heapify(self._heap)

    def first(self) -> tuple[Order, str] | None:
        """Return the smallest order and its run; None without runs."""
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def first_order(self) -> Order | None:
        """Return the smallest order; None without runs."""
        first = self.first()
        return None if first is None else first[0]

    def pop(self) -> str:
        """Take the first run out; there must be one."""
        while self._is_stale(entry := heapq.heappop(self._heap)):
            pass
        del self._orders[entry[1]]
        return entry[1]

    def _is_stale(self, entry: tuple[Order, str]) -> bool:
        return self._orders.get(entry[1]) != entry[0]


class _Level:
    """The ready runs of one queue and rank, by job."""

    __slots__ = ("heaps", "jobs")

    def __init__(self) -> None:
        self.heaps: dict[str, RunHeap] = {}
        self.jobs: list[str] = []  # sorted; invariant: the keys of `heaps`, none of which is empty

    def drop_if_empty(self, job_id: str) -> None:
        if not self.heaps[job_id]:
            del self.heaps[job_id]
            del self.jobs[bisect_left(self.jobs, job_id)]


class ReadyRuns:
    """Runs that may be claimed now, by queue, rank and job; in each job the first that became available."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[str, dict[int, _Level]] = {}

    def add(self, queue: str, rank: int, job_id: str, run_id: str, available_at: int) -> None:
        """Add a run that is not there."""
        level = self._queues.setdefault(queue, {}).setdefault(rank, _Level())
        heap = level.heaps.get(job_id)
        if heap is None:
            heap = level.heaps[job_id] = RunHeap()
            insort(level.jobs, job_id)
        heap.add(run_id, (available_at,))

    def discard(self, queue: str, rank: int, job_id: str, run_id: str) -> None:
        """Drop a run that is there."""
        level = self._queues[queue][rank]
        level.heaps[job_id].discard(run_id)
        level.drop_if_empty(job_id)
        self._drop_if_empty(queue, rank)

    def ranks(self, queues: Sequence[str]) -> list[tuple[int, str]]:
        """Return the (rank, queue) pairs that have runs, highest priority first."""
        pairs = [(rank, queue) for queue in dict.fromkeys(queues) for rank in self._queues.get(queue, ())]
        return sorted(pairs, key=lambda pair: pair[0])

    def any_before(self, queue: str, rank: int) -> bool:
        """Tell whether a run of this or a smaller rank stands in the queue."""
        return any(one <= rank for one in self._queues.get(queue, ()))

    def jobs_behind(self, queue: str, rank: int, job_id: str) -> Iterator[str]:
        """Go once round the jobs that have runs, beginning behind `job_id`."""
        level = self._queues.get(queue, {}).get(rank)
        if level is not None:
            place = bisect_right(level.jobs, job_id)
            yield from level.jobs[place:]
            yield from level.jobs[:place]

    def heads(self) -> Iterator[tuple[str, str, int, str]]:
        """Yield (queue, job id, when its first run became available, that run) for each job of each queue and rank."""
        for queue, levels in self._queues.items():
            for level in levels.values():
                for job_id, heap in level.heaps.items():
                    first = heap.first()
                    if first is not None:
                        yield queue, job_id, first[0][0], first[1]

    def take_in_turn(
        self,
        queue: str,
        rank: int,
        jobs: Sequence[str],
        wanted: int,
        accept: Callable[[str], bool] | None = None,
    ) -> list[str]:
        """Take up to `wanted` runs out, those that `accept` accepts: the first of each job, then the second of each."""
        taken: list[str] = []
        refused: list[tuple[str, str, Order]] = []
        level = self._queues.get(queue, {}).get(rank)
        if level is None:
            return taken
        while turn := [job_id for job_id in jobs if level.heaps[job_id]][: wanted - len(taken)]:
            for job_id in turn:
                order = level.heaps[job_id].first_order() or ()
                run_id = level.heaps[job_id].pop()
                if accept is None or accept(run_id):
                    taken.append(run_id)
                else:
                    refused.append((job_id, run_id, order))
        for job_id, run_id, order in refused:
            level.heaps[job_id].add(run_id, order)
        for job_id in jobs:
            level.drop_if_empty(job_id)
        self._drop_if_empty(queue, rank)
        return taken

    def _drop_if_empty(self, queue: str, rank: int) -> None:
        if not self._queues[queue][rank].jobs:
            del self._queues[queue][rank]
            if not self._queues[queue]:
                del self._queues[queue]


class ParkedRuns:
    """Runs that wait for a slot under a limit, by key and job; highest priority first."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, RunHeap]] = {}

    def add(self, key: str, job_id: str, run_id: str, order: Order) -> None:
        """Add a run that is not there."""
        self._keys.setdefault(key, {}).setdefault(job_id, RunHeap()).add(run_id, order)

    def discard(self, key: str, job_id: str, run_id: str) -> None:
        """Drop a run that is there."""
        self._keys[key][job_id].discard(run_id)
        self._drop_if_empty(key, job_id)

    def take(self, key: str, count: int) -> list[str]:
        """Take out up to `count` runs of every job that waits for this key."""
        taken: list[str] = []
        for job_id, heap in list(self._keys.get(key, {}).items()):
            taken += [heap.pop() for _ in range(min(count, len(heap)))]
            self._drop_if_empty(key, job_id)
        return taken

    def _drop_if_empty(self, key: str, job_id: str) -> None:
        if not self._keys[key][job_id]:
            del self._keys[key][job_id]
            if not self._keys[key]:
                del self._keys[key]
