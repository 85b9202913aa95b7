"""`mainspring db`: looking after the store of an app."""

from pathlib import Path
from typing import Annotated, Final

import typer

from mainspring.base import parse_duration
from mainspring.cli._actions import opened
from mainspring.cli._errors import ExitCode
from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, run_action
from mainspring.cli._output import write_facts, write_rows
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp, Keep, Retention, RunState

db_commands: Final = typer.Typer(help="Look after the store of an app.", no_args_is_help=True)

_TERMINAL: Final = tuple(str(state) for state in RunState if state.terminal)


@db_commands.command(short_help="Bring the store's schema up to date.")
def upgrade(app: App, as_json: AsJson = False) -> None:
    """Bring the store's schema up to date; it is created when there is none. Older versions cannot open it then."""
    run_action(_upgrade(load_app(app), as_json=as_json))


@db_commands.command(short_help="Look for damage.")
def check(app: App, as_json: AsJson = False) -> None:
    """Look for damage and for what contradicts itself; 0 when all is well, else 3."""
    run_action(_check(load_app(app), as_json=as_json))


@db_commands.command(short_help="Remove ended runs from the history.")
def prune(
    app: App,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="remove runs that ended longer ago, as 30d or 12h")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=0, metavar="COUNT", help="of each job and state, keep the newest")
    ] = None,
    state: Annotated[
        list[RunState] | None,
        typer.Option("--state", metavar="STATE", help=f"only {', '.join(_TERMINAL)}; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove ended runs from the history now: by these bounds, else by those of the app.

    What ended in the last ten minutes stays, and what an idempotency key names.
    """
    retention = _retention(older_than, keep, state or [])
    run_action(_prune(load_app(app), retention, as_json=as_json))


@db_commands.command(short_help="Copy the store while it is in use.")
def backup(
    app: App,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="where to; it must not exist")],
    as_json: AsJson = False,
) -> None:
    """Copy the store into a file while it is in use; the copy is checked, and whole or not there."""
    run_action(_backup(load_app(app), file, as_json=as_json))


async def _upgrade(app: JobApp, *, as_json: bool) -> None:
    found, latest = await app.upgrade()
    write_facts({"from": found, "to": latest}, as_json=as_json)


async def _check(app: JobApp, *, as_json: bool) -> ExitCode:
    async with app.reading(any_app=True) as reader:
        problems = await reader.check()
    rows = [{"problem": one} for one in problems]
    write_rows(rows, columns=("problem",), as_json=as_json, empty="all is well")
    return ExitCode.STORE_TROUBLE if problems else ExitCode.DONE


async def _prune(app: JobApp, retention: Retention | None, *, as_json: bool) -> None:
    async with opened(app, runner=False):
        write_facts({"pruned": await app.prune(retention)}, as_json=as_json)


async def _backup(app: JobApp, file: Path, *, as_json: bool) -> None:
    async with app.reading(any_app=True) as reader:
        size = await reader.backup(file)
    write_facts({"file": str(file), "bytes": size}, as_json=as_json)


def _retention(older_than: str | None, keep: int | None, states: list[RunState]) -> Retention | None:
    """Return the bounds that the options say, for these states or all; None without any."""
    if older_than is None and keep is None:
        if states:
            expected = "a bound beside it: --older-than or --keep"
            raise InvalidArgumentError(argument="--state", value=states[0].value, expected=expected)
        return None
    age = None if older_than is None else parse_duration(older_than, source="--older-than")
    for state in states:
        if not state.terminal:
            raise InvalidArgumentError(
                argument="--state", value=state.value, expected=f"a state that runs end in: {', '.join(_TERMINAL)}"
            )
    wanted = [state.value for state in states] or _TERMINAL
    return Retention(**{name: Keep(count=keep, age=age) if name in wanted else Keep() for name in _TERMINAL})
