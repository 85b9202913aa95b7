"""Random borrowers against the pool: step by step beside a plain model, and in disorder under invariants."""

import asyncio
import math
import random
from collections.abc import Callable

import pytest
from tests.unit.resilience.support_time import now, run_virtual

from mainspring.base import use_random
from mainspring.errors import PoolExhaustedError
from mainspring.resilience import PoolBase

LIFETIME, IDLE, RECYCLE = 7.0, 3.0, 4.0


class Pool(PoolBase[int]):
    """Hooks that fail on demand and, when told, at random take time."""

    def __init__(
        self,
        maxsize: int,
        *,
        lifetime: float | None,
        idle: float | None = None,
        recycle: float | None = None,
        pause: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(maxsize, recycle, max_lifetime=lifetime, max_idle=idle)
        self.made = 0
        self.alive: set[int] = set()
        self.destroyed: list[int] = []
        self.bad: set[int] = set()
        self.create_failures = 0
        self.pause = pause

    async def _pause(self) -> None:
        if self.pause is not None:
            await asyncio.sleep(self.pause())

    async def _create_instance(self) -> int:
        await self._pause()
        if self.create_failures:
            self.create_failures -= 1
            raise OSError("refused")
        self.made += 1
        self.alive.add(self.made)
        return self.made

    async def _check_instance(self, instance: int) -> bool:
        await self._pause()
        if instance in self.bad and instance % 2:
            raise OSError("broken")
        return instance not in self.bad

    async def _destroy_instance(self, instance: int) -> None:
        self.alive.remove(instance)
        self.destroyed.append(instance)


class Model:
    """What a pool is, in the plainest words: lists, and no loop."""

    def __init__(self, maxsize: int, draws: random.Random, *, ages: bool) -> None:
        self.draws = draws
        self.lifetime, self.idle_time, self.recycle = (LIFETIME, IDLE, RECYCLE) if ages else (math.inf,) * 3
        self.recycle_at: dict[int, float] = {}
        self.idle_since: dict[int, float] = {}
        self.idle: list[int] = []
        self.vacant = maxsize
        self.line: list[int] = []
        self.gives_up_at: dict[int, float] = {}
        self.held: dict[int, int] = {}
        self.outcome: dict[int, str] = {}
        self.born: dict[int, float] = {}
        self.bad: set[int] = set()
        self.destroyed: set[int] = set()
        self.create_failures = 0

    def acquire(self, caller: int, at: float, timeout: float | None) -> None:
        if self.idle:
            self._lend(caller, self.idle.pop(), at)
        elif self.vacant:
            self.vacant -= 1
            self._lend(caller, None, at)
        else:
            self.line.append(caller)
            if timeout is not None:
                self.gives_up_at[caller] = at + timeout

    def release(self, caller: int, at: float) -> None:
        self.outcome[caller] = "returned"
        self._take_back(self.held.pop(caller), at)

    def cancel(self, caller: int, at: float) -> None:
        if caller in self.held:
            self.release(caller, at)
        else:
            self.line.remove(caller)
        self.outcome[caller] = "cancelled"

    def advance(self, at: float) -> None:
        for caller in tuple(self.line):
            if self.gives_up_at.get(caller, at + 1) <= at:
                self.line.remove(caller)
                self.outcome[caller] = "timeout"
        for instance in tuple(self.idle):
            if self.born[instance] + self.lifetime <= at or self.idle_since[instance] + self.idle_time <= at:
                self.idle.remove(instance)
                self.destroyed.add(instance)
                self.vacant += 1

    def _lend(self, caller: int, instance: int | None, at: float) -> None:
        if instance in self.bad:
            self.destroyed.add(instance)
            instance = None
        if instance is None:
            if self.create_failures:
                self.create_failures -= 1
                self.outcome[caller] = "refused"
                self._take_back(None, at)
                return
            instance = len(self.born) + 1
            self.born[instance] = at
            self.recycle_at[instance] = at + self.recycle * (1 + self.draws.random())
        self.held[caller] = instance

    def _take_back(self, instance: int | None, at: float) -> None:
        if instance is not None and min(self.born[instance] + self.lifetime, self.recycle_at[instance]) <= at:
            self.destroyed.add(instance)
            instance = None
        if self.line:
            self._lend(self.line.pop(0), instance, at)
        elif instance is None:
            self.vacant += 1
        else:
            self.idle.append(instance)
            self.idle_since[instance] = at


class Bench:
    """A pool, its model, and the callers of both."""

    def __init__(self, maxsize: int, draws: random.Random, *, ages: bool) -> None:
        self.pool = Pool(maxsize, lifetime=None)
        if ages:
            self.pool = Pool(maxsize, lifetime=LIFETIME, idle=IDLE, recycle=RECYCLE)
        self.model = Model(maxsize, draws, ages=ages)
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.done: dict[int, asyncio.Event] = {}
        self.held: dict[int, int] = {}
        self.outcome: dict[int, str] = {}

    async def borrow(self, caller: int, timeout: float | None) -> None:
        try:
            async with self.pool.acquire(timeout=timeout) as instance:
                self.held[caller] = instance
                await self.done[caller].wait()
            self.outcome[caller] = "returned"
        except PoolExhaustedError:
            self.outcome[caller] = "timeout"
        except OSError:
            self.outcome[caller] = "refused"
        except asyncio.CancelledError:
            self.outcome[caller] = "cancelled"
        finally:
            self.held.pop(caller, None)

    async def step(self, source: random.Random) -> None:
        model, at = self.model, now()
        kind = source.choice(("acquire",) * 4 + ("release",) * 3 + ("cancel", "advance", "advance", "fail", "spoil"))
        running = [*model.held, *model.line]
        if kind == "acquire":
            caller, timeout = len(self.tasks), source.choice((None, None, 1.5, 3.5))
            self.done[caller] = asyncio.Event()
            self.tasks[caller] = asyncio.create_task(self.borrow(caller, timeout))
            model.acquire(caller, at, timeout)
        elif kind == "release" and model.held:
            caller = source.choice(list(model.held))
            self.done[caller].set()
            model.release(caller, at)
        elif kind == "cancel" and running:
            caller = source.choice(running)
            self.tasks[caller].cancel()
            model.cancel(caller, at)
        elif kind == "advance":
            await asyncio.sleep(source.choice((1.0, 2.0)))
            model.advance(now())
        elif kind == "fail":
            self.pool.create_failures += 1
            model.create_failures += 1
        elif kind == "spoil" and model.born:
            spoiled = source.randint(1, len(model.born))
            self.pool.bad.add(spoiled)
            model.bad.add(spoiled)
        for _ in range(30):
            await asyncio.sleep(0)

    def compare(self) -> None:
        pool, model = self.pool, self.model
        stats = pool.stats()
        assert self.held == model.held
        assert self.outcome == model.outcome
        assert [slot.instance for slot in pool._stock.idle] == model.idle
        assert len(pool._stock.vacant) == model.vacant
        assert set(pool.destroyed) == model.destroyed
        assert (stats.waiting_count, stats.used_count) == (len(model.line), len(model.held))
        assert len(pool) == len(model.held) + len(model.idle) == len(pool.alive)


@pytest.mark.parametrize("ages", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_pool_does_as_the_model_does(seed: int, *, ages: bool) -> None:
    source = random.Random(seed)

    async def main() -> None:
        bench = Bench(source.randint(1, 4), random.Random(seed), ages=ages)
        for _ in range(120):
            await bench.step(source)
            bench.compare()
        for task in bench.tasks.values():
            task.cancel()
        await asyncio.gather(*bench.tasks.values(), return_exceptions=True)
        await bench.pool.close()
        assert bench.pool.alive == set()

    with use_random(seed):
        run_virtual(main())


@pytest.mark.parametrize("seed", range(20))
def test_no_slot_is_lost_in_disorder(seed: int) -> None:
    source = random.Random(seed)
    maxsize = source.randint(1, 4)
    lent: set[int] = set()

    async def borrow(pool: Pool) -> None:
        await asyncio.sleep(source.uniform(0, 50))
        try:
            async with pool.acquire(timeout=source.choice((None, 3.0))) as instance:
                assert instance not in lent
                lent.add(instance)
                assert len(lent) <= maxsize
                assert len(pool) <= maxsize
                try:
                    await asyncio.sleep(source.choice((0, 1, 4)))
                finally:
                    lent.remove(instance)
        except (TimeoutError, OSError):
            pass

    async def main() -> None:
        pool = Pool(maxsize, lifetime=source.choice((None, 5.0)), pause=lambda: source.choice((0.0, 0.5, 2.0)))
        tasks = [asyncio.create_task(borrow(pool)) for _ in range(80)]
        for _ in range(60):
            await asyncio.sleep(source.uniform(0, 1.5))
            action = source.random()
            if action < 0.4:
                source.choice(tasks).cancel()
            elif action < 0.6:
                pool.create_failures += 1
            elif pool.made:
                pool.bad.add(source.randint(1, pool.made))
        await asyncio.gather(*tasks, return_exceptions=True)
        failures = [task.exception() for task in tasks if not task.cancelled() and task.exception()]
        assert failures == []
        assert len(pool._stock.idle) + len(pool._stock.vacant) == maxsize
        pool.create_failures = 0
        all_of_them = [pool.acquire(timeout=60.0) for _ in range(maxsize)]
        for loan in all_of_them:
            await loan.__aenter__()
        for loan in all_of_them:
            await loan.__aexit__(None, None, None)
        await pool.close()
        assert pool.alive == set()

    run_virtual(main())
