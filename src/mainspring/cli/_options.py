"""What several files of commands share: the arguments they take, and how they end."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any  # Any: what a coroutine is sent is nobody's business

import typer

from mainspring.cli._errors import ExitCode
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import RunState

App = Annotated[str, typer.Argument(metavar="APP", help="file.py, or module:attribute")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="the job's id")]
AsJson = Annotated[bool, typer.Option("--json", help="write JSON to standard output")]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="the state directory  [default: MAINSPRING_STATE_DIR, ./.mainspring]"),
]
States = Annotated[
    list[RunState] | None,
    typer.Option("--state", metavar="STATE", help=f"{', '.join(RunState)}: only in this; may be repeated"),
]
Store = Annotated[
    str | None, typer.Option("--store", metavar="STORE", help="in place of the app's own, as sqlite:///state.db")
]


def run_action(action: Coroutine[Any, Any, ExitCode | None]) -> None:
    """Run what a command does; end with its exit code."""
    code = asyncio.run(action)
    if code:
        raise typer.Exit(code)


def instant_of(text: str | None, *, option: str) -> datetime | None:
    """Return the instant that an option names, None when it is not given.

    Raises:
        InvalidArgumentError: it is no ISO text, or has no offset.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InvalidArgumentError(argument=option, value=text, expected="an instant, as 2013-03-10T05:00:00Z")
    return instant.astimezone(UTC)
