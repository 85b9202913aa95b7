"""Traps: a process kills itself -9 at the n-th call of one of its functions.

A trap reads `module:function:before` or `module:Class.method:after`. One inside of a group of the store dies before
the commit.
"""

import inspect
import os
import signal
from collections.abc import Callable
from functools import reduce
from importlib import import_module
from typing import Any, Final  # Any: any function can be the trap

STORES: Final = "mainspring.jobs.stores._sqlite"
# State to (trap, at most that many calls of it).
MOMENTS: Final = {
    "in claim": (
        (f"{STORES}:claim:after", 3),
        (f"{STORES}:SqliteStore.claim:after", 2),  # committed, and no handler has started
        ("mainspring.jobs.engine._node:Node.begin:before", 20),
    ),
    "between handler and finish": (
        (f"{STORES}:SqliteStore.finish:before", 20),
        (f"{STORES}:finish:after", 2),
    ),
    "in the sink": (
        ("mainspring.sinks:SqlTable.write:before", 20),
        ("mainspring.sinks:SqlTable.write:after", 20),
    ),
    "while planning": (
        ("mainspring.jobs.engine._planner:BackfillPlanner._next_step:after", 1),
        (f"{STORES}:step_backfill:after", 1),
        (f"{STORES}:SqliteStore.step_backfill:after", 1),  # committed, and nobody was told
    ),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def set_trap(trap: str, calls: int) -> None:
    """Replace the function of a trap by one that dies before or after its n-th call."""
    module, path, when = trap.split(":")
    *owners, name = path.split(".")
    owner: object = reduce(getattr, owners, import_module(module))
    original: Callable[..., Any] = getattr(owner, name)
    left = calls

    def is_the_one() -> bool:
        nonlocal left
        left -= 1
        return left <= 0

    def called(*args: object, **kwargs: object) -> object:
        the_one = is_the_one()
        if the_one and when == "before":
            die()
        answer = original(*args, **kwargs)
        if the_one and not inspect.isawaitable(answer):
            die()
        return killed_after(answer) if the_one else answer

    async def killed_after(answer: Any) -> None:
        await answer
        die()

    setattr(owner, name, called)
