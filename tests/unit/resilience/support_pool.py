"""A pool of numbers whose hooks do what they are told."""

import asyncio
from typing import Any  # Any: the arguments of a pool

from mainspring.resilience import PoolBase, deadline


class Pool(PoolBase[int]):
    """Lends the numbers 1, 2, ...; each hook may be told to fail or to take time."""

    def __init__(self, maxsize: int = 2, recycle: float | None = None, **options: Any) -> None:
        super().__init__(maxsize, recycle, **options)
        self.made = 0
        self.destroyed: list[int] = []
        self.create_errors: list[Exception] = []
        self.create_time = self.destroy_time = 0.0
        self.destroy_error: Exception | None = None
        self.destroy_deadline: float | None = None

    async def _create_instance(self) -> int:
        await asyncio.sleep(self.create_time)
        if self.create_errors:
            raise self.create_errors.pop()
        self.made += 1
        return self.made

    async def _destroy_instance(self, instance: int) -> None:
        self.destroy_deadline = deadline()
        if self.destroy_time:
            await asyncio.sleep(self.destroy_time)
        if self.destroy_error is not None:
            raise self.destroy_error
        self.destroyed.append(instance)


class CheckedPool(Pool):
    """A pool whose check answers what it is told."""

    bad: set[int]
    check_error: Exception | None = None
    check_time = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.bad = set()

    async def _check_instance(self, instance: int) -> bool:
        await asyncio.sleep(self.check_time)
        if self.check_error is not None:
            raise self.check_error
        return instance not in self.bad


async def borrow(pool: Pool, seconds: float = 1.0, *, limit: float | None = None) -> int:
    async with pool.acquire(timeout=limit) as instance:
        await asyncio.sleep(seconds)
        return instance
