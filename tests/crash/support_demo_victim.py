"""Runs the demo and kills it -9 at the n-th call of a function: `python support_demo_victim.py TRAP CALLS CLAIMS ...`.

TRAP is `module:function:before` or `module:Class.method:after`; what follows CLAIMS is the demo's command line. The
runs of the first claim that found any are written to the file CLAIMS. A lease lasts an hour here: whatever goes on
sooner has not waited for one.
"""

import inspect
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any, Final  # Any: any function can be the trap

from mainspring.demo.__main__ import main
from mainspring.jobs.stores import Claim, ClaimAnswer, SqliteStore

LEASE: Final = 3600.0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def set_trap(trap: str, calls: int) -> None:
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


def note_first_claim(claims: Path) -> None:
    original = SqliteStore.claim

    def note(answer: ClaimAnswer) -> ClaimAnswer:
        if answer.runs and not claims.exists():
            claims.write_text("\n".join(record.run_id for record in answer.runs))
        return answer

    async def claim(self: SqliteStore, command: Claim) -> ClaimAnswer:
        return note(await original(self, command))

    SqliteStore.claim = claim  # type: ignore[method-assign]  # the victim watches its own store


def run(arguments: Sequence[str]) -> int:
    trap, calls, claims, *command = arguments
    (SqliteStore.__init__.__kwdefaults__ or {})["lease"] = LEASE
    note_first_claim(Path(claims))
    set_trap(trap, int(calls))
    return main(command)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
