"""Runs the demo and kills it -9 at the n-th call of a function: `python support_demo_victim.py TRAP CALLS CLAIMS ...`.

TRAP is described in `support_traps`; what follows CLAIMS is the demo's command line. The runs
of the first claim that found any are written to the file CLAIMS. A lease lasts an hour here: whatever goes on
sooner has not waited for one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.crash.support_traps import set_trap

from mainspring.demo.__main__ import main
from mainspring.jobs.stores import Claim, ClaimAnswer, SqliteStore

LEASE: Final = 3600.0


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
