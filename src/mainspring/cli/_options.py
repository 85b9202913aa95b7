"""What several files of commands share: the arguments they take, and how they end."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any  # Any: what a coroutine is sent is nobody's business

import typer

from mainspring.cli._errors import ExitCode

App = Annotated[str, typer.Argument(metavar="APP", help="file.py, or module:attribute")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="the job's id")]
AsJson = Annotated[bool, typer.Option("--json", help="write JSON to standard output")]


def run_action(action: Coroutine[Any, Any, ExitCode | None]) -> None:
    """Run what a command does; end with its exit code."""
    code = asyncio.run(action)
    if code:
        raise typer.Exit(code)
