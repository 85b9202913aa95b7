"""`mainspring flow`: draw a dataflow, or run it."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from mainspring.cli._load import load_module, refuse_dots
from mainspring.cli._options import App, AsJson
from mainspring.cli._output import write_json, write_rows
from mainspring.dataflow import Dataflow, DataflowStats
from mainspring.errors import InvalidArgumentError

_COLUMNS: Final = ("stage", "received", "handled", "failed", "restarts", "us per message")


class Drawing(StrEnum):
    """How to draw a topology."""

    TEXT = "text"
    MERMAID = "mermaid"
    JSON = "json"


def flow(
    app: App,
    draw: Annotated[Drawing | None, typer.Option("--draw", help="show the topology and run nothing")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="run this stage or worker alone, as work or 1.0; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a dataflow until its sources end or Ctrl-C, then show what it did; or draw it."""
    loaded = load_flow(app)
    if only:
        loaded = loaded.part(*only)
    if draw == Drawing.JSON:
        write_json(loaded.graph())
        return
    if draw is not None:
        typer.echo(loaded.describe(draw.value))
        return
    loaded.start()
    _write_stats(loaded.stats(), as_json=as_json)


def load_flow(name: str) -> Dataflow:
    """Import what `name` says and return its Dataflow: the attribute, else the only one there is.

    Raises:
        InvalidArgumentError: there is no such file, module or dataflow, or more than one.
    """
    module, place, attribute = load_module(name)
    refuse_dots(module, name)
    flows = {key: value for key, value in vars(module).items() if isinstance(value, Dataflow)}
    if attribute:
        if attribute in flows:
            return flows[attribute]
        raise InvalidArgumentError(argument="APP", value=name, expected=f"{attribute!r} to be a Dataflow in {place}")
    if len(set(flows.values())) == 1:
        return next(iter(flows.values()))
    hint = (
        f"say which: {place}:NAME, one of {', '.join(sorted(flows))}" if flows else "make it at the module's top level"
    )
    raise InvalidArgumentError(argument="APP", value=name, expected="one Dataflow", hint=hint)


def _write_stats(stats: DataflowStats, *, as_json: bool) -> None:
    if as_json:
        write_json(stats)
        return
    rows = [
        {
            "stage": one.stage,
            "received": one.received_count,
            "handled": one.handled_count,
            "failed": one.failed_count,
            "restarts": one.restart_count,
            "us per message": f"{1e6 * one.service_time:.1f}",
        }
        for one in stats.stages
    ]
    write_rows(rows, columns=_COLUMNS, as_json=False, empty="it has no stages")
