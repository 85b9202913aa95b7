"""`mainspring config`: a job's stored config, its history, and going back in it."""

import sys
from collections.abc import Container, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Final

import typer

from mainspring.base import encode_json
from mainspring.cli._actions import opened, parse_config
from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, Job, instant_of, run_action
from mainspring.cli._output import Row, write_facts, write_json, write_rows
from mainspring.errors import ConfigError, InvalidArgumentError, StoreMissingError
from mainspring.jobs import (
    ABSENT,
    ConfigChange,
    ConfigInForce,
    ConfigSchema,
    ConfigVersion,
    JobApp,
    config_changes,
    shown,
)

config_commands: Final = typer.Typer(help="See and change a job's stored config.", no_args_is_help=True)

_MANY: Final = 10_000

Secrets = Annotated[bool, typer.Option("--show-secrets", help="show also what is marked or named as a secret")]
Comment = Annotated[str, typer.Option("--comment", metavar="TEXT", help="why; it is kept in the history")]
Pairs = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="a value is JSON when it can be, else text")
]
Unset = Annotated[list[str] | None, typer.Option("--unset", metavar="KEY", help="remove a key; may be repeated")]
From = Annotated[
    str | None, typer.Option("--from", metavar="WHEN", help="let it count from an instant on, with its offset")
]


@config_commands.command("get", short_help="Show what a run of the job gets now.")
def get(
    app: App,
    job: Job,
    version: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="one stored version instead of what is in force")
    ] = None,
    show_secrets: Secrets = False,
    as_json: AsJson = False,
) -> None:
    """Show the config that a run of the job gets now: declaration, settings file and store together."""
    run_action(_get(load_app(app), job, version, hide=not show_secrets, as_json=as_json))


@config_commands.command("set", short_help="Store the next version of a job's config.")
def set_(
    app: App,
    job: Job,
    pairs: Pairs = None,
    unset: Unset = None,
    replace: Annotated[bool, typer.Option("--replace", help="drop all other keys of the stored config")] = False,
    from_: From = None,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Store the next version of a job's config: the one in force (at --from, if given) with these changes.

    With a --from in the past it counts at once, without what was set since; the command says what that was.
    """
    changes: dict[str, object] = dict.fromkeys(unset or []) | parse_config(pairs or [], argument="KEY=VALUE")
    if not changes and not replace:
        raise InvalidArgumentError(argument="KEY=VALUE", value="", expected="what to change, as rows=500")
    since = instant_of(from_, option="--from")
    keys, loaded = unset or [], load_app(app)
    run_action(_set(loaded, job, changes, keys, replace=replace, since=since, comment=comment, as_json=as_json))


@config_commands.command("history", short_help="List the stored versions.")
def history(
    app: App,
    job: Job,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="COUNT", help="how many")] = 20,
    show_secrets: Secrets = False,
    as_json: AsJson = False,
) -> None:
    """List the stored versions of a job's config, newest first, each with what it changed."""
    run_action(_history(load_app(app), job, limit, hide=not show_secrets, as_json=as_json))


@config_commands.command("rollback", short_help="Go back to an old version.")
def rollback(
    app: App,
    job: Job,
    version: Annotated[
        int, typer.Argument(metavar="VERSION", help="whose values are to count again, as a new version")
    ],
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Store the values of an old version as the next one, in force from now on."""
    run_action(_rollback(load_app(app), job, version, comment=comment, as_json=as_json))


async def _get(app: JobApp, job: str, number: int | None, *, hide: bool, as_json: bool) -> None:
    schema = app.definition(job).schema
    problem: str | None = None
    if number is None:
        found = await _in_force(app, job)
        values, version, problem = found.values, found.version, found.problem
    else:
        values, version = dict(_one(await _versions(app, job), number).values), number
    if hide:
        values = shown(values, schema)
    if as_json:
        told = {} if problem is None else {"problem": problem}
        write_json({"job": job, "version": version, "config": values} | told)
        return
    if values:
        write_facts({key: _text(value) for key, value in values.items()}, as_json=False)
    else:
        sys.stdout.write("the config is empty\n")
    if problem is not None:
        what = "what is declared" if version is None else f"version {version}"
        sys.stderr.write(f"what was set last cannot be used, and {what} stays in force: {problem}\n")


async def _set(
    app: JobApp,
    job: str,
    changes: dict[str, object],
    unset: Sequence[str],
    *,
    replace: bool,
    since: datetime | None,
    comment: str,
    as_json: bool,
) -> None:
    async with opened(app, runner=False):
        await _check_unset(app, job, unset)
        if replace:
            changes = {key: value for key, value in changes.items() if value is not None}
        number = await _version_in_force(app, job)
        stored = await app.put_config(job, changes, merge=not replace, effective_from=since, comment=comment)
        undone: list[str] = []
        if since is not None and not replace and number is not None and number < stored.version:
            undone = await _undone(app, job, stored, number, but=changes)
        await _say_stored(app, job, stored, undone=undone, as_json=as_json)


async def _undone(app: JobApp, job: str, stored: ConfigVersion, number: int, *, but: Container[str]) -> list[str]:
    """Return what was set since the instant on whose config a version builds, and counts no more with it."""
    if await _version_in_force(app, job) != stored.version:  # its time is to come
        return []
    before = _one(await _versions(app, job), number)
    changes = config_changes(before, stored, None, hide=False)
    return [one.key for one in changes if one.before is not ABSENT and one.key.partition(".")[0] not in but]


async def _check_unset(app: JobApp, job: str, keys: Sequence[str]) -> None:
    """Refuse to remove what was never stored: a misspelt key would end in a version that changes nothing."""
    if not keys:
        return
    stored = {key for version in await _versions(app, job) for key in version.values}
    for key in keys:
        if key not in stored:
            expected = f"a stored key: {', '.join(sorted(stored))}" if stored else "a stored key, and there is none"
            raise InvalidArgumentError(argument="--unset", value=key, expected=expected)


async def _rollback(app: JobApp, job: str, version: int, *, comment: str, as_json: bool) -> None:
    async with opened(app, runner=False):
        stored = await app.rollback_config(job, version, comment=comment)
        await _say_stored(app, job, stored, as_json=as_json)


async def _say_stored(
    app: JobApp, job: str, stored: ConfigVersion, *, undone: Sequence[str] = (), as_json: bool
) -> None:
    both = await app.config_history(job, before=stored.version + 1, limit=2)
    changes = _changes_of(both, app.definition(job).schema)[0]
    facts = {
        "job": job,
        "version": stored.version,
        "effective_from": stored.effective_from,
        "changes": _told(changes, as_json=as_json),
    }
    if undone and as_json:
        facts["undone"] = list(undone)
    write_facts(facts, as_json=as_json)
    if undone and not as_json:
        said = f"--from lies in the past, and what was set since does not count any more: {', '.join(undone)}"
        sys.stderr.write(f"{said}\nhint: without --from the version builds on what is in force now\n")


async def _history(app: JobApp, job: str, limit: int, *, hide: bool, as_json: bool) -> None:
    schema = app.definition(job).schema
    versions = await _versions(app, job)
    in_force = await _version_in_force(app, job)
    rows: list[Row] = [
        {
            "version": one.version,
            "in_force": one.version == in_force,
            "changes": _told(changes, as_json=as_json),
            "effective_from": one.effective_from,
            "created_at": one.created_at,
            "comment": one.problem or one.comment,
            "rollback_of": one.rollback_of,
            "values": shown(one.values, schema) if hide else one.values,
        }
        for one, changes in zip(versions, _changes_of(versions, schema, hide=hide), strict=True)
    ]
    columns = ("version", "in_force", "changes", "effective_from", "comment", "rollback_of")
    write_rows(rows[:limit], columns=columns, as_json=as_json, empty="nothing is stored")


async def _versions(app: JobApp, job: str) -> Sequence[ConfigVersion]:
    """Return the whole history; none when there is no store yet."""
    try:
        async with app.reading() as reader:
            return await reader.config_history(job, limit=_MANY)
    except StoreMissingError:
        return []


async def _in_force(app: JobApp, job: str) -> ConfigInForce:
    """Return what a run gets now; nothing stored when there is no store yet."""
    try:
        async with app.reading() as reader:
            return await reader.config_in_force(job)
    except StoreMissingError:
        return ConfigInForce(app.unstored_config(job), None, None)


async def _version_in_force(app: JobApp, job: str) -> int | None:
    try:
        return (await _in_force(app, job)).version
    except ConfigError:  # nothing fits; the history is there to find out why
        return None


def _one(versions: Sequence[ConfigVersion], number: int) -> ConfigVersion:
    found = next((one for one in versions if one.version == number), None)
    if found is None or found.problem is not None:
        expected = "a stored version" if found is None else f"another one: {found.problem}"
        raise InvalidArgumentError(
            argument="--version", value=number, expected=expected, hint="list them with `mainspring config history`"
        )
    return found


def _changes_of(
    versions: Sequence[ConfigVersion], schema: ConfigSchema | None, *, hide: bool = True
) -> list[list[ConfigChange]]:
    """Return for each version, newest first, what it changed in the one before it, the first in nothing."""
    if not versions:
        return []
    oldest = versions[-1]
    before = ConfigVersion(0, {}, oldest.effective_from, oldest.created_at)
    steps = pairwise([*versions, before] if oldest.version == 1 else [*versions, oldest])
    return [config_changes(old, new, schema, hide=hide) for new, old in steps]


def _told(changes: Sequence[ConfigChange], *, as_json: bool) -> list[str] | list[dict[str, object]]:
    return [_facts(one) for one in changes] if as_json else [_words(one) for one in changes]


def _facts(change: ConfigChange) -> dict[str, object]:
    sides = {"before": change.before, "after": change.after}
    return {"key": change.key} | {name: value for name, value in sides.items() if value is not ABSENT}


def _words(change: ConfigChange) -> str:
    if change.after is ABSENT:
        return f"{change.key} unset"
    if change.before is ABSENT:
        return f"{change.key}={_text(change.after)}"
    return f"{change.key}={_text(change.after)} (was {_text(change.before)})"


def _text(value: object) -> str:
    return value if isinstance(value, str) else encode_json(value).decode()
