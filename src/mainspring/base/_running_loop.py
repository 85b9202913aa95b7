"""Whether a loop is the one that runs here, for calls so short that asking asyncio is a part of their cost."""

import asyncio
import sys
from threading import get_ident
from typing import Final, TypeGuard

_ASKING_IS_CHEAP: Final = sys.version_info >= (3, 12)
"""Before, asyncio asks the system for the number of the process each time: 0.2 to 0.3 us."""

_running_loop = asyncio._get_running_loop


def runs_here(loop: asyncio.AbstractEventLoop | None) -> TypeGuard[asyncio.AbstractEventLoop]:
    """Return whether `loop` surely runs in this thread; when not, only `asyncio.get_running_loop()` can tell.

    Before Python 3.12, loops that are not asyncio's own keep it to themselves.
    """
    if _ASKING_IS_CHEAP:
        return loop is not None and _running_loop() is loop
    return getattr(loop, "_thread_id", None) == get_ident()
