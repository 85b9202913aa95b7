"""`aiomisc.utils`, as far as it is about event loops."""

import asyncio
from typing import Any

from mainspring.compat.aiomisc._environment import settings
from mainspring.concurrency import ThreadPoolExecutor
from mainspring.runtime import OwnLoop

__all__ = ("create_default_event_loop", "new_event_loop")


def create_default_event_loop(
    pool_size: int | None = None,
    policy: Any = None,  # Any: an event loop policy, a type that newer Pythons deprecate
    debug: bool = False,
) -> tuple[asyncio.AbstractEventLoop, ThreadPoolExecutor]:
    """Make an event loop and its default executor, and set it as the thread's current one.

    Raises:
        MisuseError: a loop runs in this thread.
    """
    made = OwnLoop(None, policy, pool_size, debug, settings())
    return made.open(), made.pool


def new_event_loop(pool_size: int | None = None, policy: Any = None) -> asyncio.AbstractEventLoop:  # Any: see above
    """Make an event loop with a thread pool as its default executor, and set it as the thread's current one.

    Raises:
        MisuseError: a loop runs in this thread.
    """
    return create_default_event_loop(pool_size, policy)[0]
