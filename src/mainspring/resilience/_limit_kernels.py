"""How limiters count: three pure kernels, which are told the time and never wait.

A kernel answers when a cost fits (`fits_at`), records it (`record`) and may be asked to forget it at once
(`take_back`). Instants are seconds of the kernel's own clock, which `now` reads. A limit made of several windows
is a kernel too: `CombinedKernel`.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Protocol, Self

from mainspring.base import current_clock


class Kernel(Protocol):
    """What `QueuedLimiter` asks of a way to count."""

    @property
    def limit(self) -> int:
        """The largest cost that can ever fit."""
        ...

    @property
    def follows_wall_clock(self) -> bool:
        """Whether `now` reads the time of day."""
        ...

    def now(self) -> float:
        """Return the instant on the kernel's clock."""
        ...

    def fits_at(self, cost: int, now: float) -> float:
        """Return when `cost` fits, if nothing is recorded before; not after `now` when it fits now."""
        ...

    def record(self, cost: int, now: float) -> None:
        """Count `cost` at `now`."""
        ...

    def take_back(self, cost: int, at: float) -> None:
        """Uncount what was recorded at `at`, as far as that cannot admit too much."""
        ...

    def used(self, now: float) -> int:
        """Return how much of the limit is taken."""
        ...

    def copy(self) -> Self:
        """Return a copy to plan with."""
        ...


class SlidingLog:
    """The instants of the last `limit` events: exact, O(limit) memory."""

    __slots__ = ("limit", "log", "period")

    follows_wall_clock = False

    def __init__(self, limit: int, period: float) -> None:
        self.limit = limit
        self.period = period
        # invariant: ascending, and full only with events that are, or were when it was last full, in the window
        self.log: deque[float] = deque(maxlen=limit)

    def now(self) -> float:
        return current_clock().monotonic()

    def fits_at(self, cost: int, now: float) -> float:
        log = self.log
        surplus = len(log) + cost - self.limit
        return log[surplus - 1] + self.period if surplus > 0 else -math.inf

    def record(self, cost: int, now: float) -> None:
        log = self.log  # its maxlen drops those that left the window
        if cost == 1:
            log.append(now)
        else:
            log.extend(repeat(now, cost))

    def take_back(self, cost: int, at: float) -> None:
        for _ in range(min(cost, self.log.count(at))):
            self.log.remove(at)

    def used(self, now: float) -> int:
        return sum(1 for at in self.log if at + self.period > now)

    def copy(self) -> "SlidingLog":
        twin = SlidingLog(self.limit, self.period)
        twin.log.extend(self.log)
        return twin


class PacedKernel:
    """The instant at which the next event is due if events came evenly: O(1) memory.

    That instant is kept as so many steps after the last pause, since a sum of floats would drift along the pace.

    Source: generic cell rate algorithm, ITU-T I.371, with the theoretical arrival time as its only state.
    """

    __slots__ = ("interval", "last", "limit", "start", "steps")

    follows_wall_clock = False

    def __init__(self, rate: int, period: float, burst: int) -> None:
        self.limit = burst
        self.interval = period / rate
        # The theoretical arrival time is start + steps * interval.
        self.start = self.last = -math.inf
        self.steps = 0

    def now(self) -> float:
        return current_clock().monotonic()

    def fits_at(self, cost: int, now: float) -> float:
        return self.start + (self.steps + cost - self.limit) * self.interval

    def record(self, cost: int, now: float) -> None:
        if self.start + self.steps * self.interval <= now:
            self.start = now
            self.steps = 0
        self.steps += cost
        self.last = now

    def take_back(self, cost: int, at: float) -> None:
        # After a later event nobody knows whether the pace had a gap in between: then it stays counted.
        if at == self.last:
            self.steps -= cost

    def used(self, now: float) -> int:
        if self.start + self.steps * self.interval <= now:
            return 0
        return min(self.limit, self.steps - int((now - self.start) / self.interval))

    def copy(self) -> "PacedKernel":
        twin = PacedKernel(1, 1.0, self.limit)
        twin.interval, twin.start, twin.steps, twin.last = self.interval, self.start, self.steps, self.last
        return twin


class AlignedWindow:
    """A count that starts anew at every full `period` of the time of day.

    When the clock is set back, the count goes on in the window that begins then: no window holds too much, and
    nobody waits longer than one period.
    """

    __slots__ = ("count", "end", "limit", "period", "start")

    follows_wall_clock = True

    def __init__(self, limit: int, period: float) -> None:
        self.limit = limit
        self.period = period
        self.start = self.end = -math.inf
        self.count = 0

    def now(self) -> float:
        return current_clock().time()

    def fits_at(self, cost: int, now: float) -> float:
        if not self.start <= now < self.end:
            self._roll(now)
        return -math.inf if self.count + cost <= self.limit else self.end

    def record(self, cost: int, now: float) -> None:
        if not self.start <= now < self.end:
            self._roll(now)
        self.count += cost

    def take_back(self, cost: int, at: float) -> None:
        if self.start <= at < self.end:
            self.count -= cost

    def used(self, now: float) -> int:
        return self.count if now < self.end else 0

    def copy(self) -> "AlignedWindow":
        twin = AlignedWindow(self.limit, self.period)
        twin.start, twin.end, twin.count = self.start, self.end, self.count
        return twin

    def _roll(self, now: float) -> None:
        if now >= self.end:
            self.count = 0
        index = now // self.period
        self.start, self.end = index * self.period, (index + 1) * self.period
        if self.end <= now:  # the multiplication rounded down
            self.start, self.end = self.end, (index + 2) * self.period


class CombinedKernel:
    """Several kernels at once: a cost fits when it fits in each."""

    __slots__ = ("_offset", "limit", "parts")

    follows_wall_clock = False

    def __init__(self, parts: Sequence[Kernel]) -> None:
        self.parts = tuple(parts)
        self.limit = min(part.limit for part in parts)
        self._offset = 0.0  # of the time of day from the monotonic clock, as of the last `now`

    def now(self) -> float:
        clock = current_clock()
        now = clock.monotonic()
        self._offset = clock.time() - now
        return now

    def fits_at(self, cost: int, now: float) -> float:
        due = -math.inf
        for part in self.parts:
            offset = self._offset_of(part)
            due = max(due, part.fits_at(cost, now + offset) - offset)
        return due

    def record(self, cost: int, now: float) -> None:
        for part in self.parts:
            part.record(cost, now + self._offset_of(part))

    def take_back(self, cost: int, at: float) -> None:
        for part in self.parts:
            part.take_back(cost, at + self._offset_of(part))

    def used(self, now: float) -> int:
        return self.limit - min(part.limit - part.used(now + self._offset_of(part)) for part in self.parts)

    def copy(self) -> "CombinedKernel":
        twin = CombinedKernel([part.copy() for part in self.parts])
        twin._offset = self._offset
        return twin

    def _offset_of(self, part: Kernel) -> float:
        return self._offset if part.follows_wall_clock else 0.0


def seconds_until(kernel: Kernel, costs: Iterable[int]) -> float:
    """Return after how many seconds the last of `costs` fits, when all before it are admitted as soon as they fit."""
    plan = kernel.copy()
    now = at = plan.now()
    for cost in costs:
        at = max(at, plan.fits_at(cost, at))
        plan.record(cost, at)
    wait = at - now
    while now + wait < at:  # the subtraction may have rounded down: never say too little
        wait = math.nextafter(wait, math.inf)
    return wait
