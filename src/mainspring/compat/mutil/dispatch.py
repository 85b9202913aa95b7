"""`mutil.dispatch`: its words in the log and on stdout. Ours refuses more words than a command takes."""

import sys
from collections.abc import Mapping
from typing import Any

from mainspring.compat.mutil._reports import report
from mainspring.tools import DArg as _DArg
from mainspring.tools import Dispatch as _Dispatch
from mainspring.tools import DispatchStatus
from mainspring.tools import Op as _Op

__all__ = ("DArg", "Dispatch", "Op")


class DArg(_DArg):
    """The old spellings; the name "state" is an AssertionError, as it was."""

    def __post_init__(self) -> None:
        if self.attribute == "state":
            raise AssertionError("an argument cannot be named state")
        super().__post_init__()

    def isRest(self) -> bool:
        """Whether it takes all words that are left."""
        return self.is_rest

    def usename(self) -> str:
        """Return the name without the star."""
        return self.attribute


class Op(_Op):
    """Says in the log why words do not fit."""

    def setup(self) -> bool:
        """Set the attributes from the words; return whether they fit."""
        good = super().setup()
        if not good:
            report("ERROR", self.complaint)
        return good


class Dispatch:
    """Commands by name: `runop` runs one and tells the user what is wrong with a line."""

    def __init__(self, opcodes: Mapping[str, Any]) -> None:
        self.opcodes = opcodes
        self._dispatch = _Dispatch(opcodes)
        self.cmds = list(self._dispatch.commands)
        self.cmdsByGroup = {group: list(names) for group, names in self._dispatch.categories.items()}
        self.fullOps = {name: self._dispatch.operation(name) for name in self.cmds}

    @property
    def cmdcompletion(self) -> dict[str, list[str]]:
        """The commands that each beginning may become."""
        beginnings = {name[:length] for name in self.cmds for length in range(1, len(name) + 1)}
        return {beginning: list(self._dispatch.complete(beginning)) for beginning in sorted(beginnings)}

    @property
    def totalOps(self) -> dict[str, Any]:
        """The operation of each beginning that is unique, and of each name."""
        found = {beginning: self._dispatch.find(beginning) for beginning in self.cmdcompletion}
        return {beginning: self.fullOps[names[0]] for beginning, names in found.items() if len(names) == 1}

    async def runop(self, cmd: str, oargs: str | None = None, state: Any = None) -> Any:
        """Run a command and return what it returns; None when it did not run."""
        result = await self._dispatch.run(cmd, oargs, state=state)
        if result.status is DispatchStatus.INVALID:
            short = self._dispatch.signature(result.command)
            report("ERROR", f"[{short}] Argument validation failed: {oargs}")
        elif result.status is DispatchStatus.UNIMPLEMENTED:
            report("ERROR", "Operation exists but has no implementation!")
        elif result.status is DispatchStatus.HELP and result.command:
            report("INFO", result.text)
        elif result.text:
            sys.stdout.write(f"{result.text}\n")
        return result.value
