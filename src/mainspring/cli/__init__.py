"""The command line: see and steer the jobs of an app, also from inside the running program.

Exit codes: 0 done, 1 a run failed, 2 wrong input, 3 trouble with the store.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.cli._main import run_command_line as run_command_line
    from mainspring.cli._operator import operator_console as operator_console
else:
    from mainspring.base import door

    __getattr__, __dir__, __all__ = door(__name__, {"_main": ("run_command_line",), "_operator": ("operator_console",)})
