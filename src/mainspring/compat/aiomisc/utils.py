"""`aiomisc.utils`: event loops with unbounded thread pools, as they were, and tools for tasks and sockets."""

import asyncio
from typing import Any

from mainspring.compat.aiomisc._environment import settings
from mainspring.compat.aiomisc.context_vars import EVENT_LOOP
from mainspring.concurrency import (
    SelectResult,
    ThreadPoolExecutor,
    awaitable,
    cancel_tasks,
    chunk_list,
    select,
    shield,
)
from mainspring.runtime import OwnLoop
from mainspring.transport import bind_socket

__all__ = (
    "SelectResult",
    "awaitable",
    "bind_socket",
    "cancel_tasks",
    "chunk_list",
    "create_default_event_loop",
    "new_event_loop",
    "select",
    "shield",
)


def create_default_event_loop(
    pool_size: int | None = None,
    policy: Any = None,  # Any: an event loop policy, a type that newer Pythons deprecate
    debug: bool = False,
) -> tuple[asyncio.AbstractEventLoop, ThreadPoolExecutor]:
    """Make an event loop and its default executor, and set it as the thread's current one and as `EVENT_LOOP`.

    Raises:
        MisuseError: a loop runs in this thread.
    """
    made = OwnLoop(None, policy, pool_size, debug, settings(), max_queue=0)
    loop = made.open()
    EVENT_LOOP.set(loop)
    return loop, made.pool


def new_event_loop(pool_size: int | None = None, policy: Any = None) -> asyncio.AbstractEventLoop:  # Any: see above
    """Make an event loop with a thread pool as its default executor, and set it as the thread's current one.

    Raises:
        MisuseError: a loop runs in this thread.
    """
    return create_default_event_loop(pool_size, policy)[0]
