"""Bugs that a store or an engine could have, each as a patch that puts it in."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import pytest
from msgspec import structs

from mainspring.base import current_random
from mainspring.jobs.engine._declarations import Declarations
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._past import PastGuard
from mainspring.jobs.engine._planner import BackfillPlanner
from mainspring.jobs.engine._tenure import Tenure
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    Advance,
    AdvanceAnswer,
    BackfillRow,
    BackfillStep,
    Finish,
    MemoryData,
    NewRun,
    RunRecord,
    _done,
    _memory,
    _memory_catalog,
    _memory_claim,
    _memory_configs,
    _memory_data,
    _memory_ends,
    _memory_enqueue,
    _memory_nodes,
)
from mainspring.jobs.stores._ends import Change
from mainspring.jobs.stores._memory_data import LiveRun, Place

Plant = Callable[[pytest.MonkeyPatch], None]


def fence_ignored(patch: pytest.MonkeyPatch) -> None:
    """A finish is taken from whoever comes, whoever holds the run."""
    finish = _memory_ends.finish

    def careless(data: MemoryData, command: Finish, now: int) -> RunRecord:
        run = data.live.get(command.run_id)
        if run is not None and run.record.state is RunState.RUNNING:
            record = run.record
            mine = {"epoch": record.epoch or 0, "fence": record.fence, "attempt": record.attempt}
            command = structs.replace(command, **mine)
        return finish(data, command, now)

    patch.setattr(_memory, "finish", careless)


def lost_reply_retried_blindly(patch: pytest.MonkeyPatch) -> None:
    """A caller who lost the answer and asks again gets a second run."""

    def forgetful(self: _memory_data.IdempotencyKeys, key: str, now: int) -> None:
        return None

    patch.setattr(_memory_data.IdempotencyKeys, "get", forgetful)


def heartbeat_skipped(patch: pytest.MonkeyPatch) -> None:
    """A node that is well renews its lease only now and then."""
    beat = Tenure.beat

    async def lazy(self: Tenure) -> None:
        if current_random().random() < 0.1:
            await beat(self)

    patch.setattr(Tenure, "beat", lazy)


def claimed_twice(patch: pytest.MonkeyPatch) -> None:
    """A claimed run stays among those that are ready."""
    claimed = _memory_claim._Taking._claimed

    def forgetful(self: _memory_claim._Taking, run: LiveRun, fence: int) -> RunRecord:
        record = claimed(self, run, fence)
        self._data.move(run, Place.READY)
        return record

    patch.setattr(_memory_claim._Taking, "_claimed", forgetful)


def cursor_moved_apart(patch: pytest.MonkeyPatch) -> None:
    """The cursor is moved in one step and the runs are inserted in another, which may not come."""
    advance = _memory_catalog.advance

    def torn(data: MemoryData, commands: Sequence[Advance], now: int) -> list[AdvanceAnswer]:
        if current_random().random() < 0.3:
            commands = [structs.replace(command, runs=()) for command in commands]
        return advance(data, commands, now)

    patch.setattr(_memory_catalog, "advance", torn)


def slots_lost_with_their_node(patch: pytest.MonkeyPatch) -> None:
    """A rescue frees the run and keeps its slot under the limit."""
    settle = _memory_ends.settle

    def keeping(data: MemoryData, changes: Sequence[Change[LiveRun]], now: int) -> list[RunRecord]:
        held = Counter(data.counters)
        records = settle(data, changes, now)
        data.counters = held
        return records

    patch.setattr(_memory_nodes, "settle", keeping)


def failure_over_success(patch: pytest.MonkeyPatch) -> None:
    """A later failure takes an interval's success out of the done-set."""
    patch.setitem(_done.STRENGTH, "failed", 3)


def rescue_counts_as_attempt(patch: pytest.MonkeyPatch) -> None:
    """A death of its node uses up one of the user's attempts."""
    rescued = _memory_nodes._rescued

    def counted(run: LiveRun, max_rescues: int | None, now: int) -> Change[LiveRun]:
        change = rescued(run, max_rescues, now)
        return structs.replace(change, attempt=change.attempt + 1)

    patch.setattr(_memory_nodes, "_rescued", counted)


def wake_up_lost(patch: pytest.MonkeyPatch) -> None:
    """A slot that is given back wakes nobody, now and then."""
    unpark = MemoryData.unpark

    def sleepy(self: MemoryData, key: str, count: int, now: int) -> None:
        if current_random().random() < 0.3:
            unpark(self, key, count, now)

    patch.setattr(MemoryData, "unpark", sleepy)


def rows_before_the_fence(patch: pytest.MonkeyPatch) -> None:
    """A run's rows are written before anybody looks whether it still holds the run."""
    finish = _memory_ends.finish

    def hasty(data: MemoryData, command: Finish, now: int) -> RunRecord:
        data.rows.write(command)
        return finish(data, structs.replace(command, writes=()), now)

    patch.setattr(_memory, "finish", hasty)


def generation_used_again(patch: pytest.MonkeyPatch) -> None:
    """Reprocessing makes the first generation once more."""

    def first(run: NewRun, latest: int | None) -> int:
        return run.generation or 1

    patch.setattr(_memory_enqueue, "generation_of", first)


def backfill_counted_apart(patch: pytest.MonkeyPatch) -> None:
    """A backfill's counters are raised outside of the transaction that ends its run."""
    count = _memory_ends._count

    def torn(data: MemoryData, backfill_id: str, ends: Counter[RunState]) -> None:
        if current_random().random() < 0.8:
            count(data, backfill_id, ends)

    patch.setattr(_memory_ends, "_count", torn)


def step_sent_again_made_again(patch: pytest.MonkeyPatch) -> None:
    """A backfill's step whose answer was lost is carried out a second time."""
    step = _memory_catalog.step_backfill

    def blind(data: MemoryData, command: BackfillStep, now: int) -> BackfillRow:
        row = data.backfills[command.backfill_id]
        return step(data, replace(command, cursor_from=row.cursor), now)

    patch.setattr(_memory_catalog, "step_backfill", blind)


def downstream_too_early(patch: pytest.MonkeyPatch) -> None:
    """What comes after a backfill does not wait for its end."""

    async def at_once(self: BackfillPlanner, row: BackfillRow) -> bool:
        return True

    patch.setattr(BackfillPlanner, "_has_its_turn", at_once)


def past_ignored(patch: pytest.MonkeyPatch) -> None:
    """Runs that depend on their past do not wait for it."""

    async def free(self: PastGuard, waiting: Sequence[RunRecord], ends: Mapping[str, int | None]) -> dict[str, str]:
        return {}

    patch.setattr(PastGuard, "blocked", free)


def delay_ignored(patch: pytest.MonkeyPatch) -> None:
    """A backfill takes what has ended, and does not ask whether it is due."""
    bounds = Declarations.interval_range

    def hasty(
        self: Declarations, definition: JobDefinition, start: datetime | date | str, end: datetime | date | str
    ) -> tuple[datetime, datetime]:
        return bounds(self, replace(definition, delay=0.0), start, end)

    patch.setattr(Declarations, "interval_range", hasty)


def newest_config_at_each_attempt(patch: pytest.MonkeyPatch) -> None:
    """A run that is tried again gets the config of the day."""
    version_of = _memory_configs.config_version_of

    def forgetful(data: MemoryData, record: RunRecord, as_of: int | None, now: int) -> int | None:
        return version_of(data, structs.replace(record, started_at=None, config_version=None), as_of, now)

    patch.setattr(_memory_claim, "config_version_of", forgetful)


def place_kept_by_the_dead(patch: pytest.MonkeyPatch) -> None:
    """A node that ends takes with it the places that its ended attempts have kept."""

    def forgetful(data: MemoryData, now: int) -> None: ...

    patch.setattr(_memory_nodes, "let_go_of_dead", forgetful)


PLANTS: tuple[Plant, ...] = (
    place_kept_by_the_dead,
    newest_config_at_each_attempt,
    past_ignored,
    delay_ignored,
    downstream_too_early,
    fence_ignored,
    lost_reply_retried_blindly,
    heartbeat_skipped,
    claimed_twice,
    cursor_moved_apart,
    slots_lost_with_their_node,
    failure_over_success,
    rescue_counts_as_attempt,
    wake_up_lost,
    rows_before_the_fence,
    generation_used_again,
    backfill_counted_apart,
    step_sent_again_made_again,
)
