"""New runs in SQLite: plain calls, hot claims, occurrences and idempotency keys."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

from mainspring.base import encode_json
from mainspring.errors import IdempotencyError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores._answers import (
    enqueued_again,
    generation_of,
    is_counted,
    is_takeover,
    key_used_again,
    under_registered,
)
from mainspring.jobs.stores._ends import CLAIMABLE
from mainspring.jobs.stores._limits import Registered
from mainspring.jobs.stores._records import (
    NEXT_GENERATION,
    Enqueue,
    EnqueueAnswer,
    NewRun,
    RunKind,
    RunRecord,
)
from mainspring.jobs.stores._sqlite_backlog import registered_limits
from mainspring.jobs.stores._sqlite_configs import ConfigsInForce
from mainspring.jobs.stores._sqlite_finish import epoch_alive
from mainspring.jobs.stores._sqlite_rows import (
    LIVE,
    NOT_CLAIMABLE,
    READY,
    TIMED,
    Fire,
    Held,
    alike_values,
    claimed_record,
    encode_limits,
    ended_record,
    fire_values,
    id_list,
    is_fire,
    is_plain,
    live_record,
    new_run_values,
)
from mainspring.jobs.stores._sqlite_sql import statements
from mainspring.jobs.stores._sqlite_tally import add_tally

PROMOTED_AT_ONCE = 2000


def promote(connection: sqlite3.Connection, now: int) -> int | None:
    """Make runs ready whose time has come; return when the next one's time comes."""
    sql = statements("runs")
    earliest = connection.execute(sql["earliest_timed"]).fetchone()[0]
    if earliest is None or earliest > now:
        return None if earliest is None else int(earliest)
    connection.execute(sql["promote"], (now, PROMOTED_AT_ONCE))
    later = connection.execute(sql["earliest_timed"]).fetchone()[0]
    return None if later is None else int(later)


class Intake:
    """Creates the runs of one group; lives as long as its transaction."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self._now = now
        self._sql = statements("runs")
        self._paused = {row[0] for row in connection.execute(self._sql["paused_jobs"])}
        self._rows: list[tuple[object, ...]] = []
        self._alike: dict[tuple[object, ...], dict[str, int]] = {}  # what plain runs share, to ids and instants
        self._fires: dict[tuple[object, ...], dict[str, Fire]] = {}  # what fires share, to ids and what is their own
        self._added: Counter[str] = Counter()  # by job
        self._fence = 0
        self._alive: dict[int, bool] = {}
        self._configs = ConfigsInForce(connection, now)
        self._waits_before: dict[str, bool] = {}  # by queue
        self._promoted = False
        self._unheard: set[tuple[str, str]] = set()  # occurrences that are known to have had no run yet
        self._registered: dict[str, Registered] = {}  # by job

    def enqueue(self, commands: Sequence[Enqueue]) -> list[EnqueueAnswer | IdempotencyError]:
        """Create the runs; return an answer for each."""
        ids = id_list([command.run.run_id for command in commands])
        known = {row[0] for row in self._connection.execute(self._sql["known_runs"], (ids,))}
        self.expect([command.run for command in commands])
        answers: list[EnqueueAnswer | IdempotencyError] = []
        for command in commands:
            run_id = command.run.run_id
            if run_id in known:
                answers.append(enqueued_again(command, self._find(run_id)))
            else:
                answers.append(self._create(command))
                known.add(run_id)
        self.flush()
        return answers

    def expect(self, runs: Iterable[NewRun]) -> None:
        """Look which of these runs are the first of their occurrence, and what their jobs say, not twice for each."""
        runs = list(runs)
        counted = {run.job_id for run in runs if is_counted(run)}
        if counted:
            self._registered = registered_limits(self._connection, counted)
        wanted = {(run.job_id, occurrence) for run in runs if (occurrence := run.occurrence) is not None}
        if len(wanted) > 1:
            pairs = encode_json(sorted(wanted)).decode()
            self._unheard = wanted.difference(self._connection.execute(self._sql["known_occurrences"], (pairs,)))

    def create(self, run: NewRun) -> EnqueueAnswer:
        """Create one run of an occurrence, or join the one that is there; `flush` ends the work."""
        return self._of_occurrence(run)

    def flush(self) -> None:
        """Write the rows gathered so far."""
        for shared, runs in self._alike.items():
            self._connection.execute(self._sql["insert_alike"], (*shared, encode_json(runs).decode()))
        self._alike.clear()
        for shared, fires in self._fires.items():
            self._connection.execute(self._sql["insert_fires"], (*shared, encode_json(fires).decode()))
        self._fires.clear()
        if self._rows:
            self._connection.executemany(self._sql["insert_run"], self._rows)
            self._rows = []
        add_tally(self._connection, LIVE, self._added)
        self._added.clear()

    def _create(self, command: Enqueue) -> EnqueueAnswer | IdempotencyError:
        run = command.run
        if run.idempotency_key is not None:
            before = self._before(run, run.idempotency_key)
            if before is not None:
                return before
        if run.occurrence is not None or run.backfill_id is not None:
            answer = self._of_occurrence(run)
        else:
            answer = self._plain(command)
        if run.idempotency_key is not None:
            self._connection.execute(
                self._sql["remember_key"],
                (run.idempotency_key, answer.run_id, run.arguments_hash, run.key_expires_at or self._now),
            )
        return answer

    def _plain(self, command: Enqueue) -> EnqueueAnswer:
        run, epoch = command.run, command.claim_epoch
        if epoch is not None and self._may_claim(run, epoch):
            if not self._fence:
                self._fence = self._connection.execute(self._sql["next_fence"]).fetchone()[0]
            held = Held(self._fence, epoch, self._configs.of(run))
            self._gather(run, place=NOT_CLAIMABLE, generation=1, previous_run=run.previous_run, held=held)
            record = claimed_record(run, now=self._now, held=held)
            return EnqueueAnswer(outcome="created", run_id=run.run_id, claimed=record)
        self._add(run, generation=run.generation or 1, previous_run=run.previous_run)
        return EnqueueAnswer(outcome="created", run_id=run.run_id)

    def _add(self, run: NewRun, *, generation: int, previous_run: str | None) -> None:
        place = self._place(run)
        if place == READY:
            self._note_ready(run.queue, run.priority)
        self._gather(run, place=place, generation=generation, previous_run=previous_run)

    def _gather(
        self, run: NewRun, *, place: int, generation: int, previous_run: str | None, held: Held | None = None
    ) -> None:
        self._added[run.job_id] += 1
        if is_plain(run):
            shared = alike_values(run, now=self._now, place=place, held=held)
            self._alike.setdefault(shared, {})[run.run_id] = run.available_at
        elif is_fire(run) and previous_run is None:
            shared = fire_values(run, now=self._now, place=place, generation=generation)
            self._fires.setdefault(shared, {})[run.run_id] = (run.job_id, run.limits or None)
        else:
            values = new_run_values(
                run, now=self._now, place=place, generation=generation, previous_run=previous_run, held=held
            )
            self._rows.append(values)

    def _place(self, run: NewRun) -> int:
        held = run.kind is RunKind.SCHEDULE and run.job_id in self._paused
        if held or run.state not in CLAIMABLE:
            return NOT_CLAIMABLE
        return READY if run.available_at <= self._now and run.state is not RunState.SCHEDULED else TIMED

    def _may_claim(self, run: NewRun, epoch: int) -> bool:
        if run.limits or run.priority or run.state is not RunState.AVAILABLE or run.available_at > self._now:
            return False
        if run.generation > 1 or run.job_id in self._paused:
            return False
        if epoch not in self._alive:
            self._alive[epoch] = epoch_alive(self._connection, epoch)
        return self._alive[epoch] and not self._somebody_waits(run.queue)

    def _somebody_waits(self, queue: str) -> bool:
        """Tell whether a run without priority, or with a higher one, stands in the queue already."""
        if not self._promoted:
            promote(self._connection, self._now)
            self._promoted = True
        found = self._waits_before.get(queue)
        if found is None:
            row = self._connection.execute(self._sql["ready_before"], (queue,)).fetchone()
            found = self._waits_before[queue] = row is not None
        return found

    def _note_ready(self, queue: str, priority: int) -> None:
        if priority >= 0:
            self._waits_before[queue] = True

    def _of_occurrence(self, run: NewRun) -> EnqueueAnswer:
        run, occurrence = under_registered(run, self._registered), run.occurrence
        if occurrence is None:
            self._add(run, generation=run.generation or 1, previous_run=run.previous_run)
            return EnqueueAnswer(outcome="created", run_id=run.run_id)
        key = (run.job_id, occurrence)
        if key in self._unheard:
            self._unheard.remove(key)  # another run of it has to look
            self._add(run, generation=generation_of(run, None), previous_run=run.previous_run)
            return EnqueueAnswer(outcome="created", run_id=run.run_id)
        self.flush()  # the run looked for may be among them
        live = self._connection.execute(self._sql["live_of_occurrence"], key).fetchone()
        if live is not None:
            return self._join(run, live_record(live))
        previous_run = run.previous_run
        latest = self._connection.execute(self._sql["latest_of_occurrence"], key).fetchone()
        if latest is not None:
            if run.generation != NEXT_GENERATION:
                ended = self._connection.execute(self._sql["ended_generation"], (*key, run.generation)).fetchone()
                if ended is not None:
                    record = ended_record(ended)
                    return EnqueueAnswer(outcome="existing", run_id=record.run_id, record=record)
            previous_run = previous_run or latest[0]
        generation = generation_of(run, None if latest is None else latest[1])
        self._add(run, generation=generation, previous_run=previous_run)
        return EnqueueAnswer(outcome="created", run_id=run.run_id)

    def _join(self, run: NewRun, live: RunRecord) -> EnqueueAnswer:
        """Make the live run of an occurrence count for its second creator too."""
        if live.run_id != run.run_id:
            if run.priority > live.priority or (run.backfill_id is not None and live.backfill_id is None):
                parameters = (-run.priority, run.backfill_id, live.run_id)
                self._connection.execute(self._sql["raise_priority"], parameters)
            if run.backfill_id is not None and live.backfill_id not in (None, run.backfill_id):
                statement = statements("catalog")["join_backfill"]
                self._connection.execute(statement, (live.run_id, run.backfill_id))
            if is_takeover(run, live):
                self._take_over(run, live)
        return EnqueueAnswer(outcome="joined", run_id=live.run_id, record=live)

    def _take_over(self, run: NewRun, live: RunRecord) -> None:
        """Give a backfill's run to the schedule: it neither waits for the backfill's slots nor ends with it."""
        limits = encode_limits(run.limits) if run.limits else None
        parameters = {"run_id": live.run_id, "limits": limits, "now": self._now}
        self._connection.execute(self._sql["take_over"], parameters)
        self._note_ready(live.queue, max(run.priority, live.priority))

    def _before(self, run: NewRun, key: str) -> EnqueueAnswer | IdempotencyError | None:
        found = self._connection.execute(self._sql["idempotency"], (key, self._now)).fetchone()
        if found is None:
            self._connection.execute(self._sql["forget_keys"], (self._now,))
            return None
        run_id, arguments_hash = found
        return key_used_again(run, run_id, arguments_hash, self._find(run_id))

    def _find(self, run_id: str) -> RunRecord | None:
        self.flush()
        live = self._connection.execute(self._sql["live_runs"], (id_list([run_id]),)).fetchone()
        if live is not None:
            return live_record(live)
        ended = self._connection.execute(self._sql["ended_run"], (run_id,)).fetchone()
        return None if ended is None else ended_record(ended)
