"""`mainspring pause` and `resume`: what people do to a job's schedule."""

from mainspring.cli._actions import opened
from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, Job, run_action
from mainspring.cli._output import write_facts
from mainspring.jobs import JobApp


def pause(app: App, job: Job, as_json: AsJson = False) -> None:
    """Make and start no more scheduled runs of a job, on any node, until `resume`."""
    run_action(_set_paused(load_app(app), job, paused=True, as_json=as_json))


def resume(app: App, job: Job, as_json: AsJson = False) -> None:
    """Go on after `pause`; what was missed meanwhile is dealt with as the job's `missed=` says."""
    run_action(_set_paused(load_app(app), job, paused=False, as_json=as_json))


async def _set_paused(app: JobApp, job: str, *, paused: bool, as_json: bool) -> None:
    async with opened(app, runner=False):
        await (app.pause(job) if paused else app.resume(job))
    state = "paused" if paused else "resumed"
    write_facts({"job": job, "paused": paused} if as_json else {"job": job, "state": state}, as_json=as_json)
