"""Whether a loop is the one that runs here, for calls so short that asking asyncio is a part of their cost."""

import asyncio
import os
import sys
from threading import get_ident
from typing import TypeGuard

_running_loop = asyncio._get_running_loop


class _Asking:
    """Whether asyncio is asked: before Python 3.12 it asks the system for the process's number each time, 0.2 us."""

    __slots__ = ("cheap",)

    def __init__(self) -> None:
        self.cheap = sys.version_info >= (3, 12)

    def become_a_child(self) -> None:
        """After a fork loops of the parent seem to run in this thread; only asyncio knows better."""
        self.cheap = True


_asking = _Asking()
os.register_at_fork(after_in_child=_asking.become_a_child)


def runs_here(loop: asyncio.AbstractEventLoop | None) -> TypeGuard[asyncio.AbstractEventLoop]:
    """Return whether `loop` surely runs in this thread; when not, only `asyncio.get_running_loop()` can tell.

    Before Python 3.12, loops that are not asyncio's own keep it to themselves.
    """
    if _asking.cheap:
        return loop is not None and _running_loop() is loop
    return getattr(loop, "_thread_id", None) == get_ident()
