"""`mainspring run`: schedule and run an app's jobs, show it over HTTP, and let operators at it."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mainspring.cli._operator import operator_console
from mainspring.cli._output import write_json
from mainspring.cli._reload import SourceWatch
from mainspring.errors import BindError, InvalidArgumentError, MissingExtraError, MisuseError
from mainspring.jobs import JobApp
from mainspring.runtime import Entrypoint
from mainspring.services import ConsoleService

if TYPE_CHECKING:
    from mainspring.web import WebService

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def make_web(app: JobApp, *, host: str, port: int | None, max_rate: float | None = None) -> "WebService | None":
    """Return what shows the app; without its extra None, with a note, unless a port was asked for.

    Args:
        port: None for the usual one.
        max_rate: requests a second of one client; None for the usual limit.

    Raises:
        InvalidArgumentError: the host is not of this machine only, or the rate is none.
        MissingExtraError: the extra `web` is not installed.
    """
    from mainspring.web import DEFAULT_PORT, WebService

    try:
        WebService.check_extra()
    except MissingExtraError as error:
        if port is not None:
            raise
        sys.stderr.write(f"note: {error}, so nothing is shown over HTTP\nhint: {error.hint}, or say --no-web\n")
        return None
    limits = {} if max_rate is None else {"rate": max_rate}
    try:
        return WebService(app=app, host=host, port=DEFAULT_PORT if port is None else port, **limits)
    except InvalidArgumentError as error:
        if error.argument != "host":
            raise
        hint = "to be reached from outside, start a WebService with ssl_certfile= in a program of your own"
        raise InvalidArgumentError(argument="--host", value=host, expected=error.expected, hint=hint) from error


def make_console(app: JobApp) -> ConsoleService | None:
    """Return what lets `mainspring console` operate the app; None, with a note, when its socket cannot be had."""
    console = operator_console(app)
    try:
        console.bind()
    except (BindError, MisuseError) as error:
        sys.stderr.write(f"note: {error}, so `mainspring console` does not reach this program\n")
        return None
    return console


async def run_app(
    app: JobApp,
    web: "WebService | None",
    console: ConsoleService | None,
    *,
    seconds: float | None,
    as_json: bool,
    any_port: bool = False,
    watch: SourceWatch | None = None,
) -> bool:
    """Schedule and run until SIGINT or SIGTERM, some seconds, or a change of the code: then return True.

    Args:
        any_port: let `web` take a free port when its own is taken.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _stop, stopped, number)
    services = (app,) if console is None else (app, console)
    try:
        async with Entrypoint(*services, catch_signals=()) as program:
            if web is not None:
                # After the app: one that cannot open is not shown, and says so alone.
                await _start_web(program, web, any_port=any_port)
            _say(app, web, console, as_json=as_json)
            await _wait(stopped, watch, seconds)
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    return watch is not None and watch.has_changed and not stopped.is_set()


async def _start_web(program: Entrypoint, web: "WebService", *, any_port: bool) -> None:
    """Show the app; to look beforehand whether the port is free would let another program take it in between."""
    try:
        await program.start_services(web)
    except BindError:
        if not any_port:
            raise
        web.port = 0
        await program.start_services(web)


def _stop(stopped: asyncio.Event, number: int) -> None:
    """Ask the program to stop; whoever asks again wants it to end now, and its runs are left as by a kill."""
    if stopped.is_set():
        os._exit(128 + number)
    stopped.set()
    with suppress(OSError):  # who read it may be gone
        sys.stderr.write("stopping: runs that have begun may end; Ctrl-C again ends at once\n")


def _say(app: JobApp, web: "WebService | None", console: ConsoleService | None, *, as_json: bool) -> None:
    started = {
        "app": app.label,
        "store": app.store.location,
        "jobs": len(app.jobs),
        "web": None if web is None else web.link,
        "console": None if console is None else console.path,
    }
    if as_json:
        write_json(started)
    else:
        count = f"{len(app.jobs)} {'job' if len(app.jobs) == 1 else 'jobs'}"
        sys.stdout.write(f"running {count} of {app.label!r}, kept in {app.store.location}; Ctrl-C ends it\n")
        if web is not None:
            sys.stdout.write(f"open {web.link} in a browser of this machine; the link is a secret\n")
    sys.stdout.flush()


async def _wait(stopped: asyncio.Event, watch: SourceWatch | None, seconds: float | None) -> None:
    waits = [stopped.wait()] if watch is None else [stopped.wait(), watch.changed()]
    tasks = [asyncio.create_task(one) for one in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
