"""`mainspring spool`, `dead-letters`, `replay` and `drop-letters`: what sinks did not take, and what to do with it."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer

from mainspring.cli._errors import ExitCode
from mainspring.cli._load import load_app
from mainspring.cli._options import App, AsJson, run_action
from mainspring.cli._output import Row, write_facts, write_rows
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp
from mainspring.resilience import timeout as time_limit
from mainspring.sinks import DeadLetter, Spool, SpoolSurvey, ask_for_replay, survey_spools
from mainspring.sinks import drop_letters as drop_from

_LOOK_INTERVAL: Final = 0.05
_MANY: Final = 1_000_000

Sink = Annotated[str | None, typer.Option("--sink", metavar="SINK", help="only of this sink")]
Letters = Annotated[list[str] | None, typer.Argument(metavar="LETTER", help="as `dead-letters` names them; all")]


def spool(app: App, as_json: AsJson = False) -> None:
    """Show what waits on disk for sinks that did not take it, in every process of this app."""
    loaded = load_app(app)
    trouble = _trouble_of(loaded)
    rows = [row for seen in _survey(loaded) for row in _spool_rows(seen, trouble)]
    columns = ("sink", "waiting", "dead", "process", "bytes", "folder", "trouble")
    write_rows(rows, columns=columns, as_json=as_json, empty="nothing waits on disk")


def _trouble_of(app: JobApp) -> Callable[[str], str | None]:
    """Return what tells why nothing can be written from the disk to the sink of a name."""
    return app.sink_set(spool=app.spool_folder).trouble_of


def _survey(app: JobApp) -> list[SpoolSurvey]:
    return survey_spools(app.spool_folder, trouble=_trouble_of(app))


def _spool_rows(seen: SpoolSurvey, trouble: Callable[[str], str | None]) -> list[Row]:
    dead = [letter.sink for letter in seen.dead]
    return [
        {
            "sink": sink,
            "waiting": seen.waiting.get(sink, 0),
            "dead": dead.count(sink),
            "process": "running" if seen.is_held else "ended",
            "bytes": seen.size_bytes,
            "folder": str(seen.folder),
            "trouble": trouble(sink),
        }
        for sink in sorted({*seen.waiting, *dead})
    ]


def dead_letters(
    app: App,
    sink: Sink = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="COUNT", help="how many")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is not tried any more, oldest first: sinks refused it too often, or are not in the app any more."""
    found = [letter for seen in _survey(load_app(app)) for letter in _of_sink(seen, sink)]
    rows = [_letter_row(letter) for letter in sorted(found, key=lambda one: one.spooled_at)[:limit]]
    columns = ("letter", "sink", "reason", "items", "tries", "job", "spooled_at", "run")
    write_rows(rows, columns=columns, as_json=as_json, empty="there are no dead letters")


def _letter_row(letter: DeadLetter) -> Row:
    return {
        "letter": letter.label,
        "sink": letter.sink,
        "type": letter.item_type,
        "job": letter.job_id,
        "run": letter.run_id,
        "spooled_at": letter.spooled_at,
        "tries": letter.tries,
        "reason": letter.reason,
        "items": [repr(item) for item in letter.items],
    }


def _of_sink(seen: SpoolSurvey, sink: str | None) -> list[DeadLetter]:
    return [letter for letter in seen.dead if sink in (None, letter.sink)]


def replay(
    app: App,
    letters: Letters = None,
    sink: Sink = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="how long to wait for what is tried here")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again. A running process is asked to do it itself; those of ended ones are tried here."""
    run_action(replay_letters(load_app(app), letters or [], sink=sink, timeout=timeout, as_json=as_json))


async def replay_letters(
    app: JobApp, labels: Sequence[str], *, sink: str | None, timeout: float, as_json: bool
) -> ExitCode:
    """Try these dead letters again, or all of a sink, or all; say what keeps others from being tried."""
    trouble = _trouble_of(app)
    asked, own, troubles = 0, list[DeadLetter](), list[str]()
    for seen, found in _chosen(app, labels, sink=sink):
        fit = [letter for letter in found if trouble(letter.sink) is None]
        troubles += [text for letter in found if (text := trouble(letter.sink)) is not None]
        if not seen.is_held:
            own += fit
        elif fit:
            ask_for_replay(seen.folder, [letter.letter_id for letter in fit])
            asked += len(fit)
    left = await _try_here(app, own, timeout=timeout) if own else 0
    facts = {"asked": asked, "tried": len(own), "written": len(own) - left, "left": left + len(troubles)}
    write_facts(facts, as_json=as_json)
    if not asked and not own and not troubles:
        troubles = [_none_of(sink)]
    for text in dict.fromkeys(troubles):
        _say(text)
    return ExitCode.FAILED if left or troubles else ExitCode.DONE


def drop_letters(app: App, letters: Letters = None, sink: Sink = None, as_json: AsJson = False) -> None:
    """Delete dead letters for good: these, or all of a sink. A running process is asked to do it itself."""
    if not letters and sink is None:
        raise InvalidArgumentError(argument="LETTER", value=None, expected="dead letters, or --sink for all of a sink")
    counts = {"asked": 0, "dropped": 0}
    for seen, found in _chosen(load_app(app), letters or [], sink=sink):
        if found:
            is_gone = drop_from(seen.folder, [letter.letter_id for letter in found])
            counts["dropped" if is_gone else "asked"] += len(found)
    write_facts(counts, as_json=as_json)
    if not any(counts.values()):
        raise typer.Exit(_say(_none_of(sink)))


def _none_of(sink: str | None) -> str:
    return "there are no dead letters" + (f" of sink {sink!r}" if sink else "")


def _say(text: str) -> ExitCode:
    sys.stderr.write(f"error: {text}\n")
    return ExitCode.FAILED


def _chosen(app: JobApp, labels: Sequence[str], *, sink: str | None) -> list[tuple[SpoolSurvey, list[DeadLetter]]]:
    """Return the dead letters of these names, or all, or all of a sink, by process.

    Raises:
        InvalidArgumentError: a name is that of no dead letter.
    """
    chosen = [
        (seen, [one for one in _of_sink(seen, sink) if not labels or one.label in labels]) for seen in _survey(app)
    ]
    known = {letter.label for _, found in chosen for letter in found}
    unknown = [label for label in labels if label not in known]
    if unknown:
        hint = "list them with `mainspring dead-letters`"
        raise InvalidArgumentError(argument="LETTER", value=unknown[0], expected="a dead letter", hint=hint)
    return chosen


async def _try_here(app: JobApp, letters: Sequence[DeadLetter], *, timeout: float) -> int:
    """Take over the spools of ended processes and try their letters; return how many did not go."""
    wanted = {_identity(letter) for letter in letters}
    async with app.sink_set(spool=app.spool_folder) as sinks:
        taken = sinks.spool
        if taken is None:
            return len(letters)
        ids = {one.letter_id for one in await taken.dead_letters(limit=_MANY) if _identity(one) in wanted}
        await taken.replay(list(ids))
        await _until_tried(taken, ids, timeout)
        stats = taken.stats(ids)
        return stats.dead_count + stats.waiting_count


def _identity(letter: DeadLetter) -> tuple[object, ...]:
    """Return what stays the same when a letter is moved to another folder."""
    return letter.sink, letter.item_type, letter.job_id, letter.run_id, letter.spooled_at, letter.reason


async def _until_tried(taken: Spool, ids: set[int], timeout: float) -> None:
    try:
        async with time_limit(timeout):
            while taken.stats(ids).waiting_count:  # noqa: ASYNC110  # the spool has no event for it
                await asyncio.sleep(_LOOK_INTERVAL)
    except TimeoutError:
        return
