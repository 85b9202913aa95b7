"""One blocking call in a thread of the loop's executor, told to virtual clocks."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar  # Any: executors are of a package that only concurrency imports

from mainspring.base import outside_work

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, executor: Any = None) -> T:
    """Return what `call` returns in a thread; a cancelled caller leaves at once, the call goes on."""
    outside_work.count += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, call)
    finally:
        outside_work.count -= 1
