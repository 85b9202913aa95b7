"""What puts an app under the hands of its operators: the service that `mainspring console` talks to."""

import os
from pathlib import Path
from typing import Final

from mainspring.base import load_extra
from mainspring.jobs import JobApp
from mainspring.services import ConsoleService
from mainspring.tools import Dispatch

SOCKET: Final = "console.sock"


def operator_console(
    app: JobApp, *, path: str | os.PathLike[str] | None = None, commands: Dispatch | None = None
) -> ConsoleService:
    """Return a service that lets `mainspring console` operate an app while it runs (extra `cli`).

    Put it beside the app in the entrypoint; `mainspring run` has one of its own.

    Args:
        app: whose jobs and runs the commands are about.
        path: of the socket; `console.sock` in the app's state directory unless given, where the client looks.
        commands: further ones of the program; those about jobs are added, except where a name is taken.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    load_extra("rich", feature="operator_console", extra="cli")
    from mainspring.cli._console_jobs import add_job_commands

    commands = Dispatch() if commands is None else commands
    add_job_commands(commands, app)
    place = Path(app.state_folder) / SOCKET if path is None else path
    return ConsoleService(place, commands=commands, program=app.label)
