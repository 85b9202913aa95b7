"""The end of plain calls in SQLite, which come by the hundred: a run that stands as its claim left it is not read.

Reading a live row, and making of it what the general way needs, cost 7 us of a run's CPU: more than its move to the
history and its deletion together.
"""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from mainspring.base import encode_json
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._records import Finish, RunKind, RunRecord
from mainspring.jobs.stores._sqlite_rows import LIVE, id_list
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_tally import add_tally

_Claim = tuple[str, int, int, int]
"""What runs share that are ended together: job, epoch, fence, attempt."""


def end_plain(connection: sqlite3.Connection, commands: Sequence[Finish]) -> dict[int, RunRecord]:
    """End plain calls that succeeded and left nothing behind, where nobody has touched them since their claim.

    Return their records by the place of their command; the other commands want the general way.
    """
    alike: dict[_Claim, dict[str, tuple[int, RunRecord]]] = {}  # by run: the place of its command, and its claim
    for place, command in enumerate(commands):
        claimed = command.claimed
        if claimed is not None and _is_plain(claimed) and _says_nothing(command):
            claim = (claimed.job_id, command.epoch, command.fence, command.attempt)
            alike.setdefault(claim, {}).setdefault(command.run_id, (place, claimed))
    if len(alike) > -(-len(commands) // 4):  # few for each: one reading of all costs less than these statements
        return {}
    ended: dict[int, RunRecord] = {}
    for claim, runs in alike.items():
        _end_alike(connection, commands, claim, runs, ended)
    return ended


def _end_alike(
    connection: sqlite3.Connection,
    commands: Sequence[Finish],
    claim: _Claim,
    runs: dict[str, tuple[int, RunRecord]],
    ended: dict[int, RunRecord],
) -> None:
    sql = statements("runs")
    ends = encode_json({run_id: commands[place].finished_at for run_id, (place, _) in runs.items()}).decode()
    (unchanged,) = connection.execute(sql["count_unchanged"], (ends, *claim)).fetchone()
    if unchanged != len(runs):
        return
    connection.execute(sql["move_alike"], (RunState.SUCCEEDED.value, ends))
    connection.execute(sql["delete_ended"], (ends,))
    if connection.execute(sql["any_stage"]).fetchone():
        connection.execute(sql["drop_stage"], (id_list(list(runs)),))
    job_id, succeeded = claim[0], RunState.SUCCEEDED
    add_tally(connection, succeeded.value, {job_id: len(runs)})
    add_tally(connection, LIVE, {job_id: -len(runs)})
    no_error = dict.fromkeys(("error_type", "error_message", "error_detail"))  # of an earlier attempt
    for place, claimed in runs.values():
        ended[place] = replace(claimed, state=succeeded, finished_at=commands[place].finished_at, **no_error)


def _is_plain(claimed: RunRecord) -> bool:
    """Tell whether a run belongs to no occurrence and no backfill, so that its end touches neither."""
    return (
        claimed.kind is not RunKind.SCHEDULE
        and claimed.interval_start is None
        and claimed.backfill_id is None
        and claimed.progress is None
    )


def _says_nothing(command: Finish) -> bool:
    return (
        command.state is RunState.SUCCEEDED
        and command.value is None
        and command.log is None
        and command.progress is None
        and command.error_type is None
        and command.error_message is None
        and command.error_detail is None
        and not command.item_count
        and not command.writes
        and not command.events
        and not command.keeps_limits
    )
