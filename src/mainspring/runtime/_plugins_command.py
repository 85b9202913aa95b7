"""`python -m mainspring.plugins`: which plugins are installed, and what each does."""

import inspect
import logging
import sys
from collections.abc import Sequence

from mainspring.runtime._log_config import basic_config
from mainspring.runtime._log_format import LogFormat, LogLevel
from mainspring.runtime._plugins import PLUGIN_GROUP, plugin_setups


def list_plugins(
    arguments: Sequence[str] | None = None,
    *,
    groups: Sequence[str] = (PLUGIN_GROUP,),
    program: str = "python -m mainspring.plugins",
) -> None:
    """Write the names of the installed plugins to stdout, and what each says of itself as log to stderr.

    Args:
        arguments: of the command line; default: those of the process.
        groups: of entry points, in which to look.
        program: what the help calls the command.
    """
    from argparse import ArgumentParser  # only this command needs it

    parser = ArgumentParser(prog=program, description="List the installed plugins.")
    parser.add_argument(
        "-q", "-s", "--quiet", "--silent", action="store_true", help="only the list, as --log-level=critical"
    )
    parser.add_argument("-n", "--no-output", action="store_true", help="no list on stdout")
    parser.add_argument("-l", "--log-level", choices=LogLevel.choices(), default="info", help="of the log on stderr")
    formats = [name for name in LogFormat.choices() if name != LogFormat.disabled.name]
    parser.add_argument("-F", "--log-format", choices=formats, default=LogFormat.default(), help="of the log")
    chosen = parser.parse_args(arguments)
    basic_config("critical" if chosen.quiet else chosen.log_level, chosen.log_format, buffered=False)
    log = logging.getLogger("plugins")
    setups = plugin_setups(groups)
    log.info("Available %d plugins.", len(setups))
    for name, setup in setups.items():
        log.info("%r - %s", name, _first_line(setup))
        if not chosen.no_output:
            sys.stdout.write(f"{name}\n")


def _first_line(setup: object) -> str:
    module = inspect.getmodule(setup)
    return (inspect.getdoc(module) or inspect.getdoc(setup) or "says nothing of itself").strip().splitlines()[0]
