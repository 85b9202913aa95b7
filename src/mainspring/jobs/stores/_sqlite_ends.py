"""What the end of an attempt entails: history, done-set, counts, limits and backfills, all in one transaction."""

import sqlite3
from collections import Counter
from collections.abc import Sequence

from mainspring.base import encode_json
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._catalog_records import BackfillRow, BackfillState, ran_in
from mainspring.jobs.stores._ends import ON_REQUEST, REMEMBERED, cancelled, end_of_backfill, ran_marks
from mainspring.jobs.stores._ends import Change as Ending
from mainspring.jobs.stores._limits import FULL, backfill_key
from mainspring.jobs.stores._records import RunRecord
from mainspring.jobs.stores._sqlite_done import paint_all
from mainspring.jobs.stores._sqlite_events import keep_events
from mainspring.jobs.stores._sqlite_rows import (
    ATTEMPT,
    AVAILABLE_AT,
    BACKFILL,
    CANCEL_REQUESTED,
    EPOCH,
    ERROR,
    FENCE,
    INTERVAL_END,
    INTERVAL_START,
    JOB,
    LIMITS,
    LIVE,
    RESCUES,
    RUN,
    STATE,
    Row,
    backfill_row,
    decode_limits,
    ended_record,
    id_list,
    live_record,
)
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_tally import add_tally

Change = Ending[Row]
"""The change of a run whose row is `run`, its limits behind."""


def cancellation(row: Row, now: int, why: str = ON_REQUEST) -> Change:
    """Return the change that cancels a run that nobody holds."""
    return cancelled(row, attempt=row[ATTEMPT], rescues=row[RESCUES], now=now, why=why)


def cancel(connection: sqlite3.Connection, run_id: str, now: int) -> RunRecord | None:
    """Cancel a run at once when nobody holds it, else ask its node to; return it as it then stands, None for none."""
    sql = statements("runs")
    row = connection.execute(sql["live_runs"], (id_list([run_id]),)).fetchone()
    if row is None:
        ended = connection.execute(sql["ended_run"], (run_id,)).fetchone()
        return None if ended is None else ended_record(ended)
    if row[STATE] == "running":
        connection.execute(sql["request_cancel"], (run_id,))
        asked = list(row[:LIMITS])
        asked[CANCEL_REQUESTED] = 1
        return live_record(asked)
    return settle(connection, [cancellation(row, now)], now)[0]


def settle(connection: sqlite3.Connection, changes: Sequence[Change], now: int) -> list[RunRecord]:
    """End runs, or free them for another attempt; return them as they then stand, in order."""
    if not changes:
        return []
    sql = statements("runs")
    ended = [change for change in changes if change.state.terminal]
    if ended:
        _end(connection, ended)
    if len(ended) < len(changes):
        freed = [change for change in changes if not change.state.terminal]
        connection.executemany(sql["release"], [_release_values(c, now) for c in freed])
    if connection.execute(sql["any_stage"]).fetchone():
        connection.execute(sql["drop_stage"], (id_list([change.run[RUN] for change in changes]),))
    _give_back(connection, changes, now)
    if ended:
        _count_backfills(connection, ended, now)
    events = [(c.finished_at, c.run[JOB], c.run[RUN], event) for c in changes if c.events for event in c.events]
    keep_events(connection, events)
    return [_record(change) for change in changes]


def _end(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    sql = statements("runs")
    _move(connection, changes)
    ids = id_list([change.run[RUN] for change in changes])
    connection.execute(sql["delete_live"], (ids,))
    _count_ends(connection, changes)
    paint_all(
        connection,
        [
            (change.run[JOB], change.run[INTERVAL_START], change.run[INTERVAL_END], change.state.value)
            for change in changes
            if change.run[INTERVAL_START] is not None and change.state in REMEMBERED
        ],
    )


def _count_ends(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    ends: dict[str, Counter[str]] = {}
    for change in changes:
        ends.setdefault(change.state.value, Counter())[change.run[JOB]] += 1
    for state, counts in ends.items():
        add_tally(connection, state, counts)
        add_tally(connection, LIVE, {job_id: -count for job_id, count in counts.items()})


def _move(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Copy runs to the history: those that ended with nothing to say in one statement, a fifth of the cost of many."""
    sql = statements("runs")
    alike: dict[RunState, dict[str, int]] = {}
    others: list[tuple[object, ...]] = []
    for change in changes:
        if change.says_nothing and change.attempt == change.run[ATTEMPT] and change.rescues == change.run[RESCUES]:
            alike.setdefault(change.state, {})[change.run[RUN]] = change.finished_at
        else:
            others.append(_history_values(change))
    for state, ends in alike.items():
        connection.execute(sql["move_alike"], (state.value, encode_json(ends).decode()))
    if others:
        connection.executemany(sql["move_to_history"], others)


def _give_back(connection: sqlite3.Connection, changes: Sequence[Change], now: int) -> None:
    """Lower the counters that running runs held, and look again at who waits for them."""
    held: Counter[str] = Counter()
    for change in changes:
        limits = change.run[LIMITS]
        if limits is None:
            continue
        if change.keeps_limits:
            kept = (change.run[RUN], change.run[FENCE], change.run[EPOCH], limits)
            connection.execute(statements("runs")["keep_limits"], kept)
        else:
            held.update({key: int(change.run[STATE] == "running") for key, _ in decode_limits(limits)})
    if held:
        lower_counters(connection, held, now)


def lower_counters(connection: sqlite3.Connection, held: Counter[str], now: int) -> None:
    """Give back that many slots of each key; a key with 0 only has its parked runs looked at again."""
    sql = statements("runs")
    lowered: dict[int, list[str]] = {}
    for key, count in held.items():
        if count:
            lowered.setdefault(count, []).append(key)
    for count, keys in lowered.items():
        for name in ("drop_counters", "lower_counters"):
            connection.execute(sql[name], (count, id_list(keys)))
    for (key,) in connection.execute(sql["parked_keys"], (id_list(list(held)),)).fetchall():
        look_again(connection, key, max(1, held[key]), now)


def look_again(connection: sqlite3.Connection, key: str, count: int, now: int) -> None:
    """Let `count` runs of every job that waits for a key try again: a node may not know the others."""
    sql = statements("runs")
    for (job,) in connection.execute(sql["parked_jobs"], (key,)).fetchall():
        connection.execute(sql["unpark"], {"key": key, "job": job, "count": count, "now": now})


def _count_backfills(connection: sqlite3.Connection, changes: Sequence[Change], now: int) -> None:
    joined = _joined_by(connection, changes)
    ended: dict[str, list[Change]] = {}
    for change in changes:
        owner = change.run[BACKFILL]
        for backfill_id in (*joined.get(change.run[RUN], ()), *(() if owner is None else (owner,))):
            ended.setdefault(backfill_id, []).append(change)
    for backfill_id, of_backfill in ended.items():
        ends = Counter(change.state for change in of_backfill)
        connection.execute(
            statements("catalog")["count_backfill"],
            (
                ends.total(),
                ends[RunState.SUCCEEDED],
                ends[RunState.FAILED],
                ends[RunState.CANCELLED] + ends[RunState.SKIPPED],
                backfill_id,
            ),
        )
        row = close_backfill(connection, backfill_id, now)
        if row is not None and row.downstream and _is_awaited(connection, backfill_id):
            ran = [(change.state, live_record(change.run[:LIMITS])) for change in of_backfill]
            paint_all(connection, ran_marks(backfill_id, ran))


def _joined_by(connection: sqlite3.Connection, changes: Sequence[Change]) -> dict[str, list[str]]:
    """Return, and forget, the backfills that joined these runs, by run id."""
    sql = statements("catalog")
    if connection.execute(sql["any_joined"]).fetchone() is None:
        return {}
    ids = id_list([change.run[RUN] for change in changes])
    joined: dict[str, list[str]] = {}
    for run_id, backfill_id in connection.execute(sql["joined_by"], (ids,)).fetchall():
        joined.setdefault(run_id, []).append(backfill_id)
    connection.execute(sql["drop_joined"], (ids,))
    return joined


def close_backfill(connection: sqlite3.Connection, backfill_id: str, now: int) -> BackfillRow | None:
    """Stop a backfill after its failure, or finish it when nothing of it is left; return it as it stands."""
    found = connection.execute(statements("catalog")["backfill"], (backfill_id,)).fetchone()
    if found is None:
        return None
    row = backfill_row(found)
    state = end_of_backfill(row)
    return row if state is None else end_backfill(connection, backfill_id, state, now)


def end_backfill(connection: sqlite3.Connection, backfill_id: str, state: BackfillState, now: int) -> BackfillRow:
    """Put a backfill into a terminal state and cancel its runs that nobody holds.

    Runs that a schedule or another backfill wants too are left to them, and count as cancelled here.
    """
    sql = statements("catalog")
    connection.execute(sql["set_backfill_state"], (state.value, now, backfill_id))
    left = sum(
        connection.execute(sql[name], (backfill_id,)).rowcount
        for name in ("leave_joined", "leave_to_joined", "leave_to_schedule")
    )
    if left:
        connection.execute(sql["forget_heirs"])
        connection.execute(sql["count_backfill"], (left, 0, 0, left, backfill_id))
    idle = connection.execute(sql["idle_runs_of_backfill"], (backfill_id,)).fetchall()
    why = f"its backfill was {state.value}"
    settle(connection, [cancellation(row, now, why) for row in idle], now)
    look_again(connection, backfill_key(backfill_id), FULL, now)  # those that are left to others, if it was paused
    if state is BackfillState.CANCELLED:
        connection.execute(sql["cancel_running_of_backfill"], (backfill_id,))
        for (later,) in connection.execute(sql["open_after_backfill"], (backfill_id,)).fetchall():
            end_backfill(connection, later, state, now)
    connection.execute(statements("nodes")["bump_version"])
    row = backfill_row(connection.execute(sql["backfill"], (backfill_id,)).fetchone())
    for one in (backfill_id, *row.after):
        if not _is_awaited(connection, one):
            connection.execute(sql["forget_done"], (ran_in(one),))
    return row


def _is_awaited(connection: sqlite3.Connection, backfill_id: str) -> bool:
    """Tell whether a backfill comes after this one and has not ended: only those read what ran in it."""
    return connection.execute(statements("catalog")["open_after_backfill"], (backfill_id,)).fetchone() is not None


def _history_values(change: Change) -> tuple[object, ...]:
    return (
        change.run[RUN],
        change.state.value,
        change.attempt,
        change.rescues,
        change.error_type,
        change.error_message,
        change.error_detail,
        change.finished_at,
        change.value,
        change.item_count,
    )


def _release_values(change: Change, now: int) -> dict[str, object]:
    return {
        "run_id": change.run[RUN],
        "state": change.state.value,
        "attempt": change.attempt,
        "rescues": change.rescues,
        "available_at": _available_at(change),
        "now": now,
        "error_type": change.error_type,
        "error_message": change.error_message,
        "error_detail": change.error_detail,
    }


def _available_at(change: Change) -> int:
    return int(change.run[AVAILABLE_AT]) if change.available_at is None else change.available_at


def _record(change: Change) -> RunRecord:
    row = list(change.run[:LIMITS])
    row[STATE] = change.state
    row[ATTEMPT] = change.attempt
    row[RESCUES] = change.rescues
    row[ERROR] = change.error_type, change.error_message, change.error_detail
    if not change.state.terminal:
        row[AVAILABLE_AT] = _available_at(change)
        return live_record(row)
    row += change.finished_at, change.value, change.item_count
    return ended_record(row)
