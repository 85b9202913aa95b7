"""What the commands do with an app."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from rich.console import Console

from mainspring.base import decode_json
from mainspring.cli._errors import ExitCode
from mainspring.cli._output import (
    Row,
    about_total,
    backfill_facts,
    event_rows,
    in_words,
    job_row,
    log_rows,
    plan_row,
    run_row,
    why_of,
    write_events,
    write_facts,
    write_json,
    write_log,
    write_rows,
)
from mainspring.cli._progress import make_meter
from mainspring.errors import DecodeError, InvalidArgumentError, StorageError, StoreMissingError
from mainspring.jobs import Backfill, BackfillProgress, JobApp, JobReader, RunRecord, RunResult, RunState

_LOOK_INTERVAL: Final = 0.2
_MEMORY: Final = "memory"
_OPTIONS: Final = {"start": "--from", "end": "--to", "max_parallel": "--parallel"}


@dataclass(frozen=True, slots=True)
class BackfillAsked:
    """What `mainspring backfill` was asked for."""

    job: str
    start: str
    end: str
    parallel: int
    reprocess: Literal["missing", "failed", "all"]
    order: Literal["asc", "desc"]
    config_at: Literal["now", "interval"] = "now"
    downstream: bool = False


@asynccontextmanager
async def opened(app: JobApp, *, runner: bool) -> AsyncGenerator[JobApp]:
    """Open the app's store, with `runner` to run here what is asked for, as a guest, for the length of the block.

    Raises:
        InvalidArgumentError: it would only be written down, in a memory that ends with this command.
    """
    await app.open(runner=runner, guest=True)
    try:
        if not runner and app.store.location == _MEMORY:
            raise InvalidArgumentError(
                argument="store",
                value=_MEMORY,
                expected="a file for a command that runs nothing itself: a memory ends with it",
                hint="run here what you ask for, as --wait does, or name a file: mainspring --store sqlite:///FILE ...",
            )
        yield app
    finally:
        await app.close()


@asynccontextmanager
async def stored_schedules(app: JobApp) -> AsyncGenerator[JobReader | None]:
    """Let the app's jobs show the schedules that the store has for them, if it can be read, within the block."""
    async with AsyncExitStack() as stack:
        reader: JobReader | None = None
        try:
            reader = await stack.enter_async_context(app.reading())
        except StoreMissingError:  # then there are none
            pass
        except StorageError as error:
            sys.stderr.write(f"note: {error}; these are the schedules of the code\n")
        yield reader


async def list_jobs(app: JobApp, *, as_json: bool) -> None:
    """List the jobs with what their runs came to."""
    try:
        async with app.reading() as reader:
            counts, known = await reader.counts(), await reader.rows()
            rows = [job_row(one, counts.get(one.job_id, {}), known.get(one.job_id)) for one in app.jobs.values()]
    except StoreMissingError as error:  # jobs are declared in the code: there are only no runs yet
        sys.stderr.write(f"note: {error}\n")
        rows = [job_row(one, {}, None) for one in app.jobs.values()]
    columns = ("job", "schedule", "timezone", "needs", "runs", "failed", "paused", "what")
    write_rows(rows, columns=columns, as_json=as_json, empty="the app has no jobs")


async def list_runs(app: JobApp, *, job: str | None, states: Sequence[RunState], limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    async with app.reading() as reader:
        records = await reader.runs(job, states=states, limit=limit)
        strays = {(one.job_id, one.queue) for one in await reader.stranded()}
    columns = ("run", "state", "job", "interval_start", "why", "attempt", "items", "progress")
    rows: list[Row] = [{**run_row(one), "why": why_of(one, strays)} for one in records]
    rows = rows if as_json else [in_words(one) for one in rows]
    write_rows(rows, columns=columns, as_json=as_json, empty="there are no such runs")


async def show_run(app: JobApp, run_id: str, *, as_json: bool) -> None:
    """Show all that the store knows of one run."""
    async with app.reading() as reader:
        record = await reader.run(run_id)
        logs = () if record is None else await reader.logs(record.run_id)
        events = () if record is None else await reader.events(record.run_id)
    if record is None:
        raise InvalidArgumentError(
            argument="RUN",
            value=run_id,
            expected="the id of a run, or an unambiguous beginning of it of 6 characters or more",
            hint="list them with `mainspring runs`",
        )
    lines = log_rows(logs)
    if as_json:
        write_json({**run_row(record), "events": event_rows(events), "log": lines})
    else:
        write_facts(in_words(run_row(record)), as_json=False)
        write_events(event_rows(events))
        write_log(lines)


async def trigger_job(app: JobApp, job: str, config: Mapping[str, object], *, wait: bool, as_json: bool) -> ExitCode:
    """Create a run, and run it here when `wait` is set."""
    async with opened(app, runner=wait):
        result = await app.run_job(job, config or None, wait=False)
        if wait:
            result = RunResult.of(await wait_for_end(app, result.run_id))
    failed = result.state is RunState.FAILED
    facts = {
        "run": result.run_id,
        "job": result.job_id,
        "state": str(result.state),
        "error": result.error if failed else None,
        "note": None if failed else result.error,
        "value": result.value,
    }
    write_facts(facts, as_json=as_json)
    return ExitCode.FAILED if wait and not result.ok else ExitCode.DONE


async def wait_for_end(app: JobApp, run_id: str) -> RunRecord:
    """Wait until a run has ended; whoever interrupts that is told how to find it again."""
    try:
        return await app.wait_for_run(run_id)
    except asyncio.CancelledError:
        sys.stderr.write(
            f"stopping: run {run_id} may end, else a running app goes on with it; Ctrl-C again ends at once\n"
            f"hint: `mainspring show APP {run_id}` tells how it is\n"
        )
        raise


def parse_config(pairs: Sequence[str], *, argument: str = "--config") -> dict[str, object]:
    """Read KEY=VALUE pairs; a value is JSON when it can be, else text.

    Args:
        argument: where they come from, as errors name it.

    Raises:
        InvalidArgumentError: a pair has no `=` or no key.
    """
    config: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InvalidArgumentError(argument=argument, value=pair, expected="KEY=VALUE, as city=Lisbon")
        try:
            config[key] = decode_json(text)
        except DecodeError:
            config[key] = text
    return config


async def count_backfill(app: JobApp, asked: BackfillAsked, *, as_json: bool) -> None:
    """Say how many intervals of the range would run now; nothing is stored."""
    async with stored_schedules(app) as reader:
        with _named_as_options():
            low, high = app.interval_range(app.definition(asked.job), asked.start, asked.end)
        if reader is not None:
            intervals = await reader.to_backfill(asked.job, low, high, reprocess=asked.reprocess)
        else:  # nothing was ever run
            intervals = () if asked.reprocess == "failed" else app.intervals(asked.job, low, high)
    facts = {
        "job": asked.job,
        "intervals": len(intervals),
        "first": str(intervals[0]) if intervals else None,
        "last": str(intervals[-1]) if intervals else None,
    }
    write_facts(facts, as_json=as_json)


async def backfill_job(app: JobApp, asked: BackfillAsked, *, detach: bool, as_json: bool) -> ExitCode:
    """Store a backfill and, unless `detach` is set, run it here to its end."""
    async with opened(app, runner=not detach):
        with _named_as_options():
            backfill = await app.backfill(
                asked.job,
                asked.start,
                asked.end,
                reprocess=asked.reprocess,
                order=asked.order,
                max_parallel=asked.parallel,
                downstream=asked.downstream,
                config_at=asked.config_at,
            )
        all_progress = [
            await (one.progress() if detach else _watch(one, app)) for one in (backfill, *await backfill.downstream())
        ]
    facts = [backfill_facts(progress) for progress in all_progress]
    first, *rest = facts if as_json else [about_total(one) for one in facts]
    if asked.downstream:
        first["downstream"] = rest if as_json else _in_words(all_progress[1:])
    write_facts(first, as_json=as_json)
    return ExitCode.FAILED if any(one.failed or one.cancelled for one in all_progress) else ExitCode.DONE


@contextmanager
def _named_as_options() -> Generator[None]:
    """Let errors about a backfill call its arguments as the command line does."""
    try:
        yield
    except InvalidArgumentError as error:
        option = _OPTIONS.get(error.argument)
        if option is None:
            raise
        expected = error.expected.replace(" end=", " --to=")
        raise InvalidArgumentError(argument=option, value=error.value, expected=expected, hint=error.hint) from error


def _in_words(later: Sequence[BackfillProgress]) -> list[str] | None:
    return [f"{one.job_id}: {one.succeeded} succeeded, {one.running} left, {one.state}" for one in later] or None


async def _watch(backfill: Backfill, app: JobApp) -> BackfillProgress:
    """Wait for the end, showing on standard error how far it is.

    Also ends when only runs are left that wait for what has not succeeded: they stay in the store.
    """
    whole = asyncio.ensure_future(backfill.wait())
    meter = make_meter(Console(stderr=True))
    try:
        while not (await asyncio.wait({whole}, timeout=_LOOK_INTERVAL))[0]:
            progress = await backfill.progress()
            meter.show(progress)
            if reason := await _blocked_by(app, progress):
                sys.stderr.write(f"note: {progress.running} left, {reason}; the backfill stays in the store\n")
                return progress
        return await whole
    except asyncio.CancelledError:
        sys.stderr.write(f"note: backfill {backfill.backfill_id} stays in the store; a running app goes on with it\n")
        raise
    finally:
        meter.close()
        whole.cancel()


async def _blocked_by(app: JobApp, progress: BackfillProgress) -> str | None:
    """Return what the first run that is left waits for, None when not all of them wait."""
    waiting = await app.runs(backfill_id=progress.backfill_id, states=[RunState.WAITING], limit=1_000)
    reasons = [one.blocked_by for one in waiting]
    return reasons[-1] if reasons and len(reasons) == progress.running and all(reasons) else None


async def plan_job(app: JobApp, job: str, *, after: datetime | None, count: int, as_json: bool) -> None:
    """Show the next fire times."""
    async with stored_schedules(app):
        rows = [plan_row(one) for one in app.plan(job, after=after, count=count)]
    columns = ("local", "interval_start", "interval_end", "clock")
    write_rows(rows, columns=columns, as_json=as_json, empty="the job has no further fire times")
