"""The commands of a console that every program has: its services, numbers, tasks and log levels."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final  # Any: what tasks return is nobody's business

from mainspring.base import get_statistics
from mainspring.runtime import Entrypoint, level_number
from mainspring.services._console_protocol import Listing
from mainspring.tools import Dispatch

_CATEGORY: Final = "Program"
_SERVICE: Final = ("name", "state", "ready", "healthy", "restart_count", "error")


def add_program_commands(commands: Dispatch) -> None:
    """Add what can be asked of any program, except commands whose names are taken."""
    functions: dict[str, Callable[..., object]] = {
        "services": _services,
        "statistics": _statistics,
        "tasks": _tasks,
        "log-level": _log_level,
        "help": _help_of(commands),
    }
    for name, function in functions.items():
        if name not in commands.commands:
            commands.command(name, category=_CATEGORY)(function)


def _services() -> Listing:
    """Show the services of the program and how they are."""
    report = Entrypoint.get_current().health()
    return Listing([asdict(one) for one in report.services], _SERVICE, empty="the program has no services")


def _statistics(kind: str = "") -> Listing:
    """Show the live numbers of the program.

    Args:
        kind: only those of a class whose name begins like this.
    """
    rows = [
        {"kind": one.kind.__name__, "name": one.name, "metric": one.metric, "value": one.value}
        for one in get_statistics()
        if one.kind.__name__.lower().startswith(kind.lower())
    ]
    return Listing(rows, ("kind", "name", "metric", "value"), empty="there are no such numbers")


def _tasks() -> Listing:
    """Show the tasks of the program's loop, and where each of them waits."""
    rows = sorted((_task_row(one) for one in asyncio.all_tasks()), key=lambda row: (row["what"], row["task"]))
    return Listing(rows, ("task", "what", "waits_at"))


def _log_level(level: str = "", logger: str = "") -> Mapping[str, str]:
    """Show what is logged, or change it until the program ends.

    Args:
        level: debug, info, warning, error or critical; left out, nothing is changed.
        logger: of which logger; of all when left out.
    """
    target = logging.getLogger(logger or None)
    if level:
        target.setLevel(level_number(level))
    return {"logger": target.name, "level": logging.getLevelName(target.getEffectiveLevel()).lower()}


def _task_row(task: "asyncio.Task[Any]") -> dict[str, str]:
    coroutine = task.get_coro()
    frames = task.get_stack(limit=1)
    place = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
    return {"task": task.get_name(), "what": getattr(coroutine, "__qualname__", str(coroutine)), "waits_at": place}


def _help_of(commands: Dispatch) -> Callable[..., object]:
    def help_(command: str = "") -> str:
        """Show what a command does, or all commands.

        Args:
            command: its name, or the unique beginning of it.
        """
        if not command:
            return f"{commands.overview()}\n`COMMAND?` tells more of one; any unique beginning of it will do"
        found = commands.find(command)
        return commands.help(found[0]) if len(found) == 1 else f"Commands: {', '.join(found or commands.commands)}"

    return help_
