"""The commands of a console on an app: its jobs and runs, seen and steered from inside the running program."""

from collections.abc import Callable
from typing import Final

from mainspring.base import from_us
from mainspring.cli._actions import parse_config
from mainspring.cli._output import Row, backfill_facts, job_row, plan_row, run_facts, run_row, why_of
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp, RunRecord, RunState
from mainspring.services import Listing
from mainspring.tools import Dispatch

_CATEGORY: Final = "Jobs"
_LONGEST_LIST: Final = 1000


def add_job_commands(commands: Dispatch, app: JobApp) -> None:
    """Add what can be asked of the app, except commands whose names are taken."""
    about = _JobCommands(app)
    functions: dict[str, Callable[..., object]] = {
        "jobs": about.jobs,
        "runs": about.runs,
        "show": about.show,
        "nodes": about.nodes,
        "queues": about.queues,
        "backfills": about.backfills,
        "plan": about.plan,
        "trigger": about.trigger,
        "cancel": about.cancel,
        "retry": about.retry,
        "pause": about.pause,
        "resume": about.resume,
    }
    for name, function in functions.items():
        if name not in commands.commands:
            commands.command(name, category=_CATEGORY)(function)


class _JobCommands:
    """What operators do; each method is a command, its docstring the help."""

    def __init__(self, app: JobApp) -> None:
        self._app = app

    async def jobs(self) -> Listing:
        """List the jobs with what their runs came to."""
        async with self._app.reading() as reader:
            counts, known = await reader.counts(), await reader.rows()
        rows = [job_row(one, counts.get(one.job_id, {}), known.get(one.job_id)) for one in self._app.jobs.values()]
        return Listing(rows, ("job", "schedule", "runs", "failed", "paused", "what"), empty="the app has no jobs")

    async def runs(self, job: str = "", in_state: RunState | None = None, limit: int = 20) -> Listing:
        """List runs, newest first.

        Args:
            job: only of this job; `*` or nothing for all.
            in_state: only in this state.
            limit: how many at most.
        """
        if not 1 <= limit <= _LONGEST_LIST:
            raise InvalidArgumentError(argument="limit", value=limit, expected=f"1 to {_LONGEST_LIST}")
        wanted = None if job in ("", "*") else job
        records = await self._app.runs(wanted, states=[] if in_state is None else [in_state], limit=limit)
        async with self._app.reading() as reader:
            strays = {(one.job_id, one.queue) for one in await reader.stranded()}
        rows = [{**run_row(one), "why": why_of(one, strays)} for one in records]
        columns = ("run", "state", "job", "interval_start", "why", "attempt", "items")
        return Listing(rows, columns, empty="there are no such runs")

    async def show(self, run_id: str) -> Row:
        """Show one run.

        Args:
            run_id: its id, or the beginning of it.
        """
        return run_row(await self._found(run_id))

    async def nodes(self) -> Listing:
        """List the nodes of the store, the latest first; `*` marks this program."""
        async with self._app.reading() as reader:
            nodes = await reader.nodes()
        rows = [
            {
                "node": one.epoch,
                "here": "*" if one.epoch == self._app.epoch else "",
                "name": one.name,
                "alive": one.alive,
                "running": one.running_count,
                "started_at": from_us(one.started_at),
            }
            for one in nodes
        ]
        return Listing(rows, ("node", "here", "name", "alive", "running", "started_at"), empty="there are no nodes")

    async def queues(self) -> Listing:
        """List the queues in which runs wait."""
        async with self._app.reading() as reader:
            queues = await reader.queues()
        rows = [{"queue": one.queue, "waits_since": from_us(one.oldest_at)} for one in queues]
        return Listing(rows, ("queue", "waits_since"), empty="no run waits")

    async def backfills(self, limit: int = 20) -> Listing:
        """List backfills, newest first."""
        async with self._app.reading() as reader:
            found = await reader.backfills(limit=limit)
        rows = [backfill_facts(await (await self._app.backfill_by_id(one.backfill_id)).progress()) for one in found]
        columns = ("backfill", "job", "state", "succeeded", "failed", "total")
        return Listing(rows, columns, empty="there are no backfills")

    def plan(self, job: str, count: int = 5) -> Listing:
        """Show a job's next fire times."""
        rows = [plan_row(one) for one in self._app.plan(job, count=count)]
        return Listing(rows, ("local", "interval_start", "interval_end", "clock"), empty="it has no further ones")

    async def trigger(self, job: str, *settings: str) -> Row:
        """Create a run of a job now, and do not wait for its end.

        Args:
            job: which.
            settings: KEY=VALUE of its config; a value is JSON when it can be, else text.
        """
        result = await self._app.run_job(job, parse_config(settings) or None, wait=False)
        return {"run": result.run_id, "job": result.job_id, "state": str(result.state)}

    async def cancel(self, run_id: str) -> Row:
        """Cancel a run: at once if nobody runs it, else its handler is told.

        Args:
            run_id: its id, or the beginning of it.
        """
        found = await self._found(run_id)
        if found.state.terminal:
            raise InvalidArgumentError(
                argument="run", value=found.run_id, expected=f"a run that has not ended; this one is {found.state}"
            )
        return run_facts(await self._app.cancel(found.run_id) or found)

    async def retry(self, run_id: str) -> Row:
        """Do an ended run again, as its next generation.

        Args:
            run_id: its id, or the beginning of it.
        """
        return run_facts(await self._app.retry(run_id))

    async def pause(self, job: str) -> str:
        """Make and start no more scheduled runs of a job, on any node, until `resume`."""
        await self._app.pause(job)
        return f"{job} is paused"

    async def resume(self, job: str) -> str:
        """Go on after `pause`."""
        await self._app.resume(job)
        return f"{job} is resumed"

    async def _found(self, run_id: str) -> RunRecord:
        record = await self._app.run(run_id)
        if record is None:
            raise InvalidArgumentError(
                argument="run",
                value=run_id,
                expected="the id of a run, or an unambiguous beginning of it of 6 characters or more",
            )
        return record
