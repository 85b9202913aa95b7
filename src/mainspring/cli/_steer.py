"""`mainspring pause`, `resume` and `schedule`: what people do to a job's schedule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import typer

from mainspring.base import parse_duration
from mainspring.cli._actions import opened
from mainspring.cli._backfills import steer_backfill
from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, Job, instant_of, run_action
from mainspring.cli._output import write_facts, write_rows
from mainspring.errors import InvalidArgumentError, StoreMissingError, UnknownJobError
from mainspring.jobs import BackfillState, JobApp, ScheduleVersion

_KINDS: Final = ("--cron", "--every", "--at")

JobOrBackfill = Annotated[str, typer.Argument(metavar="JOB|BACKFILL", help="the job's id, or that of a backfill")]
Cron = Annotated[str | None, typer.Option("--cron", metavar="EXPRESSION", help="let it fire as a cron expression says")]
Every = Annotated[
    str | None, typer.Option("--every", metavar="DURATION", help="let it fire on a fixed grid, as 90s or 10m")
]
At = Annotated[str | None, typer.Option("--at", metavar="WHEN", help="let it fire once, at an instant with its offset")]
Zone = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="of its wall clock; the job's own unless given")
]
Reset = Annotated[bool, typer.Option("--reset", help="let it go by the schedule of its code again")]


def pause(app: App, job: JobOrBackfill, as_json: AsJson = False) -> None:
    """Make and start no more scheduled runs of a job, or runs of a backfill, on any node, until `resume`."""
    run_action(_set_paused(load_app(app), job, paused=True, as_json=as_json))


def resume(app: App, job: JobOrBackfill, as_json: AsJson = False) -> None:
    """Go on after `pause`; what was missed meanwhile is dealt with as the job's `missed=` says."""
    run_action(_set_paused(load_app(app), job, paused=False, as_json=as_json))


def schedule(
    app: App,
    job: Job,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    timezone: Zone = None,
    reset: Reset = False,
    as_json: AsJson = False,
) -> None:
    """Put another schedule over that of a job's code; without options, list the versions that there were."""
    seconds = None if every is None else parse_duration(every, source="--every")
    instant = instant_of(at, option="--at")
    given = {name: value for name, value in zip(_KINDS, (cron, every, at), strict=True) if value is not None}
    if reset and (given or timezone is not None):
        raise InvalidArgumentError(argument="--reset", value=True, expected="no other option beside it")
    if len(given) > 1:
        last, value = given.popitem()
        raise InvalidArgumentError(argument=last, value=value, expected=f"only one of {', '.join(_KINDS)}")
    if timezone is not None and not given:
        expected = f"one of {', '.join(_KINDS)} beside it"
        raise InvalidArgumentError(argument="--timezone", value=timezone, expected=expected)
    loaded = load_app(app)
    if reset or given:
        run_action(_steer(loaded, job, cron=cron, every=seconds, at=instant, timezone=timezone, reset=reset))
    run_action(_list_versions(loaded, job, as_json=as_json))


async def _set_paused(app: JobApp, job: str, *, paused: bool, as_json: bool) -> None:
    async with opened(app, runner=False):
        if job not in app.jobs:
            wanted = BackfillState.PAUSED if paused else BackfillState.RUNNING
            if await steer_backfill(app, job, wanted, as_json=as_json):
                return
        try:
            await (app.pause(job) if paused else app.resume(job))
        except UnknownJobError as error:
            raise InvalidArgumentError(
                argument="JOB|BACKFILL",
                value=job,
                expected="the id of a job or of a backfill",
                hint=f"{error.hint}; `mainspring backfills` lists the backfills",
            ) from error
    state = "paused" if paused else "resumed"
    write_facts({"job": job, "paused": paused} if as_json else {"job": job, "state": state}, as_json=as_json)


async def _steer(
    app: JobApp,
    job: str,
    *,
    cron: str | None,
    every: float | None,
    at: datetime | None,
    timezone: str | None,
    reset: bool,
) -> None:
    async with opened(app, runner=False):
        if reset:
            await app.reset_schedule(job)
        else:
            await app.set_schedule(job, cron=cron, every=every, at=at, timezone=timezone)


async def _list_versions(app: JobApp, job: str, *, as_json: bool) -> None:
    versions: Sequence[ScheduleVersion] = []
    try:
        async with app.reading() as reader:
            versions = await reader.schedule_history(job)
    except StoreMissingError:
        app.definition(job)  # an unknown one is an error all the same
    rows = [
        {
            "version": one.version,
            "schedule": one.problem or ("" if one.schedule is None else one.schedule.describe()),
            "origin": one.origin,
            "since": one.since,
            "created_at": one.created_at,
        }
        for one in versions
    ]
    columns = ("version", "schedule", "origin", "since", "created_at")
    write_rows(rows, columns=columns, as_json=as_json, empty="the store has none yet")
