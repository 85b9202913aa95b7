"""The commands that change single runs: cancel and retry."""

from typing import Annotated

import typer

from mainspring.cli._actions import opened, wait_for_end
from mainspring.cli._backfills import steer_backfill
from mainspring.cli._errors import ExitCode
from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, run_action
from mainspring.cli._output import run_facts, write_facts
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import BackfillState, JobApp, RunState

Run = Annotated[str, typer.Argument(metavar="RUN", help="its id, or the beginning of it")]


def cancel(
    app: App,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN|BACKFILL", help="a run's id, or the beginning of it, or a backfill's id")
    ],
    as_json: AsJson = False,
) -> None:
    """Cancel a run, or a backfill with its runs: at once what nobody runs, else the program that does is asked to."""
    run_action(_cancel(load_app(app), run_id, as_json=as_json))


def retry(
    app: App,
    run_id: Run,
    latest_config: Annotated[
        bool, typer.Option("--latest-config", help="with the config that is in force, not with the run's own")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="run it here and wait for its end")] = False,
    as_json: AsJson = False,
) -> None:
    """Do an ended run again, as its next generation. Without --wait, a running app picks it up."""
    run_action(_retry(load_app(app), run_id, latest_config=latest_config, wait=wait, as_json=as_json))


async def _cancel(app: JobApp, run_id: str, *, as_json: bool) -> ExitCode:
    async with opened(app, runner=False):
        found = await app.run(run_id)
        if found is None and await steer_backfill(app, run_id, BackfillState.CANCELLED, as_json=as_json):
            return ExitCode.DONE
        if found is None:
            raise InvalidArgumentError(
                argument="RUN|BACKFILL",
                value=run_id,
                expected="the id of a run or a backfill, or an unambiguous beginning of a run's (6 characters or more)",
                hint="list them with `mainspring runs` and `mainspring backfills`",
            )
        if found.state.terminal:
            raise InvalidArgumentError(
                argument="RUN", value=found.run_id, expected=f"a run that has not ended; this one is {found.state}"
            )
        record = await app.cancel(found.run_id) or found
    write_facts(run_facts(record), as_json=as_json)
    return ExitCode.DONE


async def _retry(app: JobApp, run_id: str, *, latest_config: bool, wait: bool, as_json: bool) -> ExitCode:
    async with opened(app, runner=wait):
        record = await app.retry(run_id, latest_config=latest_config)
        if wait:
            record = await wait_for_end(app, record.run_id)
    write_facts(run_facts(record), as_json=as_json)
    return ExitCode.FAILED if wait and record.state is not RunState.SUCCEEDED else ExitCode.DONE
