"""`python -m mainspring.demo`, which `mainspring demo` calls too."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mainspring.demo._board_client import AIRPORTS, BoardAsked, watch_board
from mainspring.demo._program import Asked, run_demo
from mainspring.demo._settings import load_settings
from mainspring.errors import ConfigError, InvalidArgumentError, MainspringError, MissingExtraError, StorageError

_FAILED, _WRONG, _STORE = 1, 2, 3
_INTERRUPTED = 130


def parse(argv: Sequence[str] | None) -> Asked | BoardAsked:
    """Return what the command line asks for.

    Raises:
        ConfigError: the settings cannot be read.
        InvalidArgumentError: a value is outside its range.
        SystemExit: it cannot be read, or asks for help.
    """
    settings = load_settings()
    parser = argparse.ArgumentParser(
        prog="mainspring demo",
        description="Load a year of real flights through scheduled jobs, from an API that fails and goes down.",
        epilog="Exit codes: 0 all is loaded, 1 intervals failed, 2 wrong input, 3 trouble with the database.",
    )
    parser.add_argument("--once", action="store_true", help="end after the totals")
    parser.add_argument("--days", type=int, default=settings.days, help="days of 2013 to load (default: 365)")
    parser.add_argument("--state", type=Path, default=Path(settings.state), help="directory of its files")
    parser.add_argument("--fresh", action="store_true", help="delete the directory first")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON on standard output")
    parser.add_argument("--seed", type=int, default=settings.seed, help="decides how the API misbehaves")
    board = parser.add_argument_group("departures")
    board.add_argument("--board", action="store_true", help="print those that a running demo tells, and load nothing")
    board.add_argument("--airport", action="append", choices=AIRPORTS, help="from here only; may be repeated")
    board.add_argument("--count", type=int, help="end after so many departures")
    given = parser.parse_args(argv)
    if given.board:
        return BoardAsked(given.state, tuple(given.airport or ()), given.count, given.json)
    return Asked(given.state, given.days, given.once, given.fresh, given.json, given.seed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    try:
        asked = parse(argv)
        if isinstance(asked, BoardAsked):
            asyncio.run(watch_board(asked))
            return 0
        console = Console(stderr=asked.json)
        report, failed = asyncio.run(run_demo(asked, console))
    except MainspringError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error}{hint}\n")
        if isinstance(error, StorageError):
            return _STORE
        return _WRONG if isinstance(error, ConfigError | InvalidArgumentError | MissingExtraError) else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    if asked.json:
        sys.stdout.write(f"{report.to_json()}\n")
    return _FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())
