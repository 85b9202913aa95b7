"""The commands of `mainspring`, as typer has them; what they do is in `_actions`."""

import asyncio
import runpy
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from mainspring.base import load_extra, parse_duration
from mainspring.cli import _actions as actions
from mainspring.cli import _spool as spools
from mainspring.cli import _steer as steering
from mainspring.cli._backfills import backfills
from mainspring.cli._bench import bench
from mainspring.cli._config import config_commands
from mainspring.cli._console import console
from mainspring.cli._db import db_commands
from mainspring.cli._errors import ExitCode, prepare_streams, say_error, say_unwritten
from mainspring.cli._flow import flow
from mainspring.cli._load import asked_places, load_app
from mainspring.cli._logs import house_logs
from mainspring.cli._options import App, AsJson, Job, State, States, Store, instant_of
from mainspring.cli._options import run_action as _run
from mainspring.cli._proxy import proxy
from mainspring.cli._reload import SourceWatch, begin_anew, load_watched
from mainspring.cli._run import make_console, make_web, run_app
from mainspring.cli._runs import cancel, retry
from mainspring.cli._services import show_services
from mainspring.errors import MainspringError

cli: Final = typer.Typer(
    name="mainspring",
    epilog="Exit codes: 0 done, 1 a run failed, 2 wrong input, 3 trouble with the store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
)


class Order(StrEnum):
    """Which intervals a backfill runs first."""

    ASC = "asc"
    DESC = "desc"


class Reprocess(StrEnum):
    """Which intervals a backfill runs."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class ConfigAt(StrEnum):
    """Whose stored config the runs of a backfill get."""

    NOW = "now"
    INTERVAL = "interval"


def _say_version(asked: bool) -> None:
    if asked:
        from mainspring.base import __version__  # reads the disk

        sys.stdout.write(f"mainspring {__version__}\n")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version and end")
]


@cli.callback()
def common(context: typer.Context, state: State = None, store: Store = None, version: Version = False) -> None:
    """See and steer the jobs of an app."""
    context.with_resource(asked_places(store=store, state=state))
    context.with_resource(house_logs())


@cli.command(short_help="Schedule and run an app's jobs until Ctrl-C.")
def run(
    app: App,
    as_json: AsJson = False,
    store: Store = None,
    state: State = None,
    queues: Annotated[str | None, typer.Option(metavar="A,B", help="take only the runs of these queues")] = None,
    slots: Annotated[int | None, typer.Option(min=1, metavar="COUNT", help="handlers at once on the loop")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="begin anew when a Python file of the app changes")] = False,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="end after this long, as 90s or 10m")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="where to show it: an address of this machine")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, metavar="PORT", help="0 for a free one  [default: 8787]")
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option(min=0.01, metavar="NUMBER", help="requests a second that one client may send  [default: 20]"),
    ] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="show nothing over HTTP")] = False,
    no_console: Annotated[bool, typer.Option("--no-console", help="let nobody operate it by a console")] = False,
) -> None:
    """Schedule and run the app's jobs until Ctrl-C, and show them over HTTP."""
    seconds = None if for_ is None else parse_duration(for_, source="--for")
    with asked_places(store=store, state=state):
        loaded = load_watched(app) if reload else load_app(app)
        watch = SourceWatch(app) if reload else None
        loaded.adjust(slots=slots, queues=None if queues is None else [one.strip() for one in queues.split(",")])
        web = None if no_web else make_web(loaded, host=host, port=port, max_rate=max_rate)
        operated = None if no_console else make_console(loaded)
        any_port = port is None
        if asyncio.run(
            run_app(loaded, web, operated, seconds=seconds, as_json=as_json, any_port=any_port, watch=watch)
        ):
            begin_anew()


@cli.command()
def jobs(app: App, as_json: AsJson = False) -> None:
    """List the jobs."""
    _run(actions.list_jobs(load_app(app), as_json=as_json))


@cli.command()
def runs(
    app: App,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="only of this job")] = None,
    state: States = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="COUNT", help="how many")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    _run(actions.list_runs(load_app(app), job=job, states=state or [], limit=limit, as_json=as_json))


@cli.command()
def show(
    app: App,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="its id, or the beginning of it")],
    as_json: AsJson = False,
) -> None:
    """Show one run."""
    _run(actions.show_run(load_app(app), run_id, as_json=as_json))


@cli.command(short_help="Create a run now.")
def trigger(
    app: App,
    job: Job,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", metavar="KEY=VALUE", help="over the job's own config; may be repeated"),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="run it here and wait for its end")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a run now. Without --wait, a running app picks it up."""
    settings = actions.parse_config(config or [])
    _run(actions.trigger_job(load_app(app), job, settings, wait=wait, as_json=as_json))


@cli.command(short_help="Run the intervals of a job between two instants.")
def backfill(
    app: App,
    job: Job,
    start: Annotated[
        str, typer.Option("--from", metavar="WHEN", help="a date in the job's zone, or an instant with its offset")
    ],
    end: Annotated[str, typer.Option("--to", metavar="WHEN", help="the same; it is not included")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count what would run now")] = False,
    parallel: Annotated[int, typer.Option(metavar="COUNT", help="runs at once")] = 8,
    reprocess: Annotated[Reprocess, typer.Option(help="which intervals")] = Reprocess.MISSING,
    order: Annotated[Order, typer.Option(help="oldest or newest first")] = Order.ASC,
    config_at: Annotated[ConfigAt, typer.Option(help="the stored config of today, or of each interval")] = ConfigAt.NOW,
    downstream: Annotated[bool, typer.Option("--downstream", help="afterwards also the jobs that need these")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="store it for a running app, and return")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the intervals of a job between two instants. Ctrl-C leaves it in the store, to be gone on with."""
    asked = actions.BackfillAsked(
        job,
        start,
        end,
        parallel=parallel,
        reprocess=reprocess.value,
        order=order.value,
        config_at=config_at.value,
        downstream=downstream,
    )
    loaded = load_app(app)
    if dry_run:
        _run(actions.count_backfill(loaded, asked, as_json=as_json))
    else:
        _run(actions.backfill_job(loaded, asked, detach=detach, as_json=as_json))


@cli.command(short_help="Show a job's next fire times and intervals.")
def plan(
    app: App,
    job: Job,
    count: Annotated[int, typer.Option(min=1, max=10_000, metavar="COUNT", help="how many fire times")] = 5,
    after: Annotated[
        str | None, typer.Option(metavar="WHEN", help="begin there instead of now; an instant with its offset")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a job's next fire times and intervals, with what the clock does between them."""
    _run(actions.plan_job(load_app(app), job, after=instant_of(after, option="--after"), count=count, as_json=as_json))


@cli.command(short_help="Show how the services of a program are.")
def services(
    socket: Annotated[str, typer.Argument(metavar="SOCKET", help="the path of the program's HealthSocket")],
    as_json: AsJson = False,
) -> None:
    """Show how the services of a running program are; 0 when it is ready and all is well, else 1."""
    _run(show_services(socket, as_json=as_json))


cli.command(short_help="Operate a running program.")(console)
cli.command(short_help="Rebroadcast one WebSocket feed to many clients.")(proxy)
cli.command(short_help="Run a dataflow, or draw it.")(flow)
cli.command(short_help="List backfills, and how far they are.")(backfills)
cli.command(short_help="Cancel a run or a backfill.")(cancel)
cli.command(short_help="Do an ended run again.")(retry)
cli.command(short_help="Show what waits on disk for sinks.")(spools.spool)
cli.command(short_help="List what sinks refused for good.")(spools.dead_letters)
cli.command(short_help="Try dead letters again.")(spools.replay)
cli.command(short_help="Delete dead letters.")(spools.drop_letters)
cli.command(short_help="Measure what recorded runs cost here.")(bench)
cli.command(short_help="Make no more runs of a schedule or a backfill.")(steering.pause)
cli.command(short_help="Go on after `pause`.")(steering.resume)
cli.command(short_help="Put another schedule over that of a job's code.")(steering.schedule)
cli.add_typer(config_commands, name="config")
cli.add_typer(db_commands, name="db")


_PASSED_ON: Final = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": list[str]()}

_OF_ALL_COMMANDS: Final = {"--store": ("run", "bench"), "--state": ("run", "runs", "console", "db", "demo")}


@cli.command(context_settings=_PASSED_ON, short_help="Load a year of real flights.")
def demo(context: typer.Context) -> None:
    """Load a year of real flights through scheduled jobs (`mainspring demo --help` lists its options)."""
    state = context.find_root().params["state"]
    load_extra("aiohttp", feature="the demo", extra="demo")
    sys.argv = ["mainspring demo", *([] if state is None else ["--state", str(state)]), *context.args]
    runpy.run_module("mainspring.demo", run_name="__main__", alter_sys=True)


def run_command_line(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; says what is wrong on standard error."""
    prepare_streams()
    try:
        code = _run_one(argv)
        sys.stdout.flush()  # here, where it can be said that the disk is full
    except OSError as error:
        return say_unwritten(error)
    return code


def _run_one(argv: Sequence[str] | None) -> int:
    try:
        typer.main.get_command(cli).main(args=None if argv is None else list(argv), prog_name="mainspring")
    except SystemExit as ended:
        if ended.code == ExitCode.WRONG_INPUT:
            _say_where_it_stands(list(sys.argv[1:] if argv is None else argv))
        return ended.code if isinstance(ended.code, int) else ExitCode.DONE
    except MainspringError as error:
        return say_error(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _say_where_it_stands(words: list[str]) -> None:
    """Tell whoever wrote an option of all commands behind a command that does not know it where it belongs."""
    late = {word.partition("=")[0] for word in words[1:]}
    for option, knowing in _OF_ALL_COMMANDS.items():
        if option in late and words[0] not in {*_OF_ALL_COMMANDS, *knowing}:
            sys.stderr.write(f"hint: {option} stands before the command: mainspring {option} ... {words[0]}\n")
