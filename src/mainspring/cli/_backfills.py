"""Backfills on the command line beside their making: the list of them, and steering one."""

from typing import Annotated, Final

import typer

from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, run_action
from mainspring.cli._output import about_total, backfill_facts, write_facts, write_rows
from mainspring.errors import InvalidArgumentError, UnknownBackfillError
from mainspring.jobs import BackfillProgress, BackfillState, JobApp

_COLUMNS: Final = ("backfill", "job", "state", "total", "succeeded", "failed", "cancelled")


def backfills(
    app: App,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="only of this job")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="COUNT")] = 20,
    as_json: AsJson = False,
) -> None:
    """List backfills, newest first; `pause`, `resume` and `cancel` take their ids."""
    run_action(_list(load_app(app), job, limit, as_json=as_json))


async def _list(app: JobApp, job: str | None, limit: int, *, as_json: bool) -> None:
    async with app.reading() as reader:
        found = [BackfillProgress.of(row, rate=0.0) for row in await reader.backfills(job, limit=limit)]
    rows = [backfill_facts(one) for one in found]
    shown = rows if as_json else [about_total(one) for one in rows]
    write_rows(shown, columns=_COLUMNS, as_json=as_json, empty="there are no backfills")


async def steer_backfill(app: JobApp, backfill_id: str, state: BackfillState, *, as_json: bool) -> bool:
    """Bring a backfill of an open app into a state and say how it is; return False when there is none of this id.

    Raises:
        InvalidArgumentError: it has ended.
    """
    try:
        backfill = await app.backfill_by_id(backfill_id)
    except UnknownBackfillError:
        return False
    before = await backfill.progress()
    if before.done:
        expected = f"a backfill that has not ended; this one is {before.state}"
        raise InvalidArgumentError(argument="BACKFILL", value=backfill_id, expected=expected)
    await app.set_backfill_state(backfill_id, state)
    facts = backfill_facts(await backfill.progress())
    write_facts(facts if as_json else about_total(facts), as_json=as_json)
    return True
