"""What commands write: tables or plain lines for people, one JSON document for programs."""

import codecs
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final  # Any: a cell holds any plain value

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mainspring.base import encode_json, from_us
from mainspring.jobs import (
    BackfillProgress,
    EventRow,
    JobDefinition,
    JobRow,
    PlannedFire,
    Progress,
    RunLog,
    RunRecord,
    RunState,
)
from mainspring.runtime import escape_controls

Row = Mapping[str, Any]
_ANY_WIDTH: Final = 100_000
_WHOLE: Final = frozenset(
    {"run", "job", "state", "local", "interval_start", "interval_end"}
)  # columns whose cells are of no use when they are cut
_STATE_STYLES: Final = {"succeeded": "green", "failed": "red", "running": "cyan", "retrying": "yellow"}


def write_json(value: object) -> None:
    """Write one JSON document and a line end to standard output."""
    text = encode_json(value).decode()
    if not text.isascii() and codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8":
        text = json.dumps(json.loads(text), separators=(",", ":"))  # its escapes, and not those of the output
    sys.stdout.write(text)
    sys.stdout.write("\n")


def write_rows(
    rows: Sequence[Row], *, columns: Sequence[str], as_json: bool, empty: str, console: Console | None = None
) -> None:
    """Write rows as a JSON list of objects, or those columns of them as a table.

    Args:
        columns: the most important first: on a narrow terminal the last ones are left out, and that is said.
        console: where the table goes, standard output by default. What is no terminal gets every line whole.
    """
    if as_json:
        write_json(list(rows))
    elif not rows:
        sys.stdout.write(f"{empty}\n")
    else:
        _write_table(rows, list(columns), console or Console())


def _write_table(rows: Sequence[Row], columns: list[str], console: Console) -> None:
    table, left_out = _table(rows, columns), list[str]()
    while console.is_terminal and len(columns) > 1 and _width(table, console).minimum > console.width:
        left_out.insert(0, columns.pop())
        table = _table(rows, columns)
    width = _width(table, console)
    console.width = max(console.width, width.minimum if console.is_terminal else width.maximum)
    if console.is_terminal:
        console.print(table)
    else:
        with console.capture() as lines:
            console.print(table)
        console.file.write("\n".join(line.rstrip(" ") for line in lines.get().split("\n")))
    if left_out:
        sys.stderr.write(f"note: the terminal is too narrow for {', '.join(left_out)}; --json has all\n")


def _table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column in _WHOLE, overflow="fold")
    for row in rows:
        # as texts: in a str, rich would take [brackets] and :colons: of an error for its own language
        cells = (Text(_cell(row.get(column))) for column in columns)
        table.add_row(*cells, style=_STATE_STYLES.get(str(row.get("state"))))
    return table


def _width(table: Table, console: Console) -> Measurement:
    return console.measure(table, options=console.options.update(max_width=_ANY_WIDTH))


def write_facts(facts: Row, *, as_json: bool) -> None:
    """Write one object: as JSON, or a line for each fact that is known."""
    if as_json:
        write_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        if value is not None:
            sys.stdout.write(f"{name:<{width}}  {_cell(value)}\n")


def job_row(definition: JobDefinition, counts: Mapping[str, int], stored: JobRow | None) -> Row:
    """Return what `mainspring jobs` says of one job; `stored` is what the store knows of it."""
    schedule = definition.schedule
    return {
        "job": definition.job_id,
        "schedule": None if schedule is None else schedule.describe(),
        "timezone": definition.timezone,
        "needs": [need.job_id for need in definition.needs],
        "tags": list(definition.tags),
        "runs": sum(counts.values()),
        "failed": counts.get("failed", 0),
        "paused": stored is not None and stored.paused,
        "overridden": stored is not None and stored.override is not None,
        "what": definition.describe(),
        "place": definition.place,
    }


def run_row(record: RunRecord) -> Row:
    """Return what `mainspring runs` and `show` say of one run."""
    return {
        "run": record.run_id,
        "job": record.job_id,
        "state": str(record.state),
        "kind": str(record.kind),
        "interval_start": from_us(record.interval_start),
        "interval_end": from_us(record.interval_end),
        "scheduled_at": from_us(record.scheduled_at),
        "attempt": record.attempt,
        "config_version": record.config_version,
        "created_at": from_us(record.created_at),
        "started_at": from_us(record.started_at),
        "finished_at": from_us(record.finished_at),
        "progress": None if record.progress is None else _progress(record.progress),
        "items": record.item_count,
        "blocked_by": record.blocked_by,
        "error": None if record.error_type is None else record.error,
        "note": record.error_message if record.error_type is None else None,
        "generation": record.generation,
        "previous_run": record.previous_run,
        "parent_run": record.parent_run,
        "traceback": record.error_detail,
    }


def in_words(row: Row) -> Row:
    """Return the row of a run as people read it: its progress as a share."""
    told = row["progress"]
    return row if told is None else {**row, "progress": _share(told["done"], told["total"])}


def _progress(told: Progress) -> Row:
    return {"done": told.done, "total": told.total, "at": from_us(told.at)}


def _share(done: float, total: float | None) -> str:
    return f"{done:,.10g} of {total:,.10g} ({done / total:.0%})" if total else f"{done:,.10g}"


def why_of(record: RunRecord, strays: Collection[tuple[str, str]] = ()) -> str | None:
    """Return why a run is in its state: what it waits for, its error, or what skipped or cancelled it.

    Args:
        strays: (job, queue) pairs whose runs no living node takes.
    """
    if record.state is RunState.AVAILABLE and (record.job_id, record.queue) in strays:
        return "no node that runs knows the job and takes from its queue"
    if record.blocked_by is not None and not record.state.terminal:
        return record.blocked_by
    return record.error


def run_facts(record: RunRecord) -> Row:
    """Return what the commands that change a run say of it."""
    row = run_row(record)
    names = ("run", "job", "state", "interval_start", "interval_end", "generation", "previous_run", "error", "note")
    return {name: row[name] for name in names} | {"cancel_requested": record.cancel_requested or None}


def event_rows(events: Sequence[EventRow]) -> list[Row]:
    """Return what befell a run, oldest first."""
    return [{"at": from_us(event.happened_at), "event": str(event.kind), **event.detail} for event in events]


def write_events(rows: Sequence[Row]) -> None:
    """Write a line for each event: when, what, and its facts."""
    for row in rows:
        told = (f"{name}={value}" for name, value in row.items() if name not in ("at", "event"))
        facts = escape_controls(" ".join(told))
        sys.stdout.write(f"{_cell(row['at'])}  {row['event']}  {facts}".rstrip() + "\n")


def log_rows(logs: Sequence[tuple[int, RunLog]]) -> list[Row]:
    """Return the lines that a run logged, one by one; `None` for the level stands where lines are lost."""
    rows: list[Row] = []
    for attempt, log in logs:
        rows += [
            {
                "attempt": attempt,
                "at": from_us(line.at),
                "level": line.level,
                "logger": line.logger,
                "message": line.message,
            }
            for line in log.lines
        ]
        if log.dropped_count:
            lost = {"attempt": attempt, "at": None, "level": None, "logger": None}
            place = len(rows) - len(log.lines) + log.first_count
            rows.insert(place, {**lost, "message": f"({log.dropped_count} lines are lost)"})
    return rows


def write_log(rows: Sequence[Row]) -> None:
    """Write what a run logged, a line for each; control characters are shown escaped."""
    if rows:
        sys.stdout.write("log\n")
    for row in rows:
        at: datetime | None = row["at"]
        when = "" if at is None else f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"Z {row['level']:<8} {row['logger']}: "
        text = escape_controls(row["message"], keep_lines=True).replace("\n", "\n    ")
        sys.stdout.write(f"  {row['attempt']} {when}{text}\n")


def plan_row(planned: PlannedFire) -> Row:
    """Return what `mainspring plan` says of one fire time."""
    interval = planned.interval
    return {
        "fire": planned.fire,
        "local": planned.local.isoformat(),
        "interval_start": None if interval is None else interval.start,
        "interval_end": None if interval is None else interval.end,
        "clock": planned.mark,
    }


def backfill_facts(progress: BackfillProgress) -> dict[str, Any]:  # Any: as in Row
    """Return what `mainspring backfill` ends with."""
    return {
        "backfill": progress.backfill_id,
        "job": progress.job_id,
        "state": str(progress.state),
        "total": progress.total,
        "exact": progress.exact,
        "succeeded": progress.succeeded,
        "failed": progress.failed,
        "cancelled": progress.cancelled,
    }


def about_total(facts: Mapping[str, Any]) -> dict[str, Any]:  # Any: as in Row
    """Return the facts of a backfill as people read them: a total that is estimated with a mark."""
    total = facts["total"] if facts["exact"] else f"~{facts['total']}"
    return {name: total if name == "total" else value for name, value in facts.items() if name != "exact"}


def _cell(value: str | int | datetime | list[str] | None) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, datetime):
        text = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        return f"{text.removesuffix(':00')}Z"
    return escape_controls(", ".join(value) if isinstance(value, list) else str(value), keep_lines=True)
