"""The statements of the SQLite store: read once from the files in `sql/sqlite`."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql" / "sqlite"

LIVE_COLUMNS = (
    "run_id, job_id, kind, state, queue, rank, generation, attempt, rescues, fence, epoch, created_at, "
    "available_at, scheduled_at, interval_start, interval_end, started_at, config, backfill_id, previous_run, "
    "parent_run, blocked_by, cancel_requested, error_type, error_message, error_detail, config_version"
)
ENDED_COLUMNS = LIVE_COLUMNS + ", finished_at, value, item_count"
JOB_COLUMNS = "job_id, schedule, version, cursor, next_fire_at, paused, registered_at, override"
BACKFILL_COLUMNS = (
    'backfill_id, job_id, start, "end", cursor, "order", reprocess, max_parallel, on_failure, total, '
    "total_exact, created_at, state, planned, config, created_count, live_count, succeeded_count, "
    "failed_count, cancelled_count, finished_at, downstream, after, config_at"
)


def _claimable(available_at: str) -> str:
    """Return the `place` of a run that is free at `available_at`: scheduled runs of paused jobs are held."""
    return (
        "CASE WHEN kind = 'schedule' AND job_id IN (SELECT job_id FROM job WHERE paused = 1) THEN 0 "
        f"WHEN {available_at} <= :now THEN 1 ELSE 2 END"
    )


_WORDS = {
    "{live}": LIVE_COLUMNS,
    "{ended}": ENDED_COLUMNS,
    "{job}": JOB_COLUMNS,
    "{backfill}": BACKFILL_COLUMNS,
    "{claimable}": _claimable("available_at"),
    "{claimable_at}": _claimable(":available_at"),
}


@cache
def script(file: str) -> str:
    """Return a whole file, as migrations want it."""
    return (_FOLDER / f"{file}.sql").read_text(encoding="utf-8")


@cache
def own_tables() -> frozenset[str]:
    """Return the tables of the schema itself, which no sink may take."""
    scripts = (path.read_text(encoding="utf-8") for path in _FOLDER.glob("schema_*.sql"))
    return frozenset(name for text in scripts for name in re.findall(r"CREATE TABLE (\w+)", text))


@cache
def statements(file: str) -> Mapping[str, str]:
    """Return the statements of a file by the names in its `-- name:` lines."""
    found: dict[str, str] = {}
    for part in script(file).split("-- name: ")[1:]:
        name, _, text = part.partition("\n")
        for word, meaning in _WORDS.items():
            text = text.replace(word, meaning)
        found[name.strip()] = text.strip()
    return found
