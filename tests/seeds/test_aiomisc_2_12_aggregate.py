"""Chapter 2.12 of the aiomisc seed: aggregate."""

import asyncio
import math

import pytest

from mainspring.compat.aiomisc import aggregate, aggregate_async, entrypoint
from mainspring.compat.aiomisc.aggregate import Arg

pytestmark = pytest.mark.usefixtures("no_logging")


def test_2_12_aggregate() -> None:
    @aggregate(leeway_ms=10, max_count=2)
    async def pow(*nums: float, power: float = 2.0):
        return [math.pow(num, power) for num in nums]

    async def main():
        return await asyncio.gather(pow(1.0), pow(2.0))

    with entrypoint() as loop:
        assert [1.0, 4.0] == loop.run_until_complete(main())


def test_2_12_aggregate_async() -> None:
    @aggregate_async(leeway_ms=10, max_count=2)
    async def pow(*args: Arg, power: float = 2.0):
        for arg in args:
            arg.future.set_result(math.pow(arg.value, power))

    async def main():
        return await asyncio.gather(pow(1), pow(2))

    with entrypoint() as loop:
        assert [1.0, 4.0] == loop.run_until_complete(main())
