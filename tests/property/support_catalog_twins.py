"""The part of the twins that is about jobs and backfills."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.support_store_twins import (
    HOUR,
    LATER,
    Twins,
    hours,
    jobs,
)

from mainspring.base import new_id
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import (
    Advance,
    BackfillRow,
    BackfillState,
    BackfillStep,
    ConfigRow,
    JobRegistration,
    NewRun,
    Prune,
    RunKind,
    SetSchedule,
    backfill_key,
    job_key,
)

ended = st.sampled_from([RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
schedules = st.sampled_from([None, b'{"every": 3600}', b"{}"])


places = st.none() | st.integers(0, 2)


def limits_of(name: str, most: int | None) -> tuple[tuple[str, int], ...] | None:
    """Return what a job's code says, from nothing over no limit to its own and one that it shares."""
    if not most:
        return None if most is None else ()
    own = (job_key(name), most)
    return (own,) if most == 1 else (own, ("k", most))


class CatalogTwins(Twins):
    """Jobs that are registered, renamed and scheduled, and backfills that walk."""

    # ---- jobs ----------------------------------------------------------------------------------------------

    @rule(names=st.lists(jobs, min_size=1, max_size=2, unique=True), schedule=schedules, cursor=st.none() | hours)
    def register(self, names: list[str], schedule: bytes | None, cursor: int | None) -> None:
        at = None if cursor is None else cursor * HOUR
        rows = [
            JobRegistration(job_id=self.names[name], schedule=schedule, cursor=at, next_fire_at=at) for name in names
        ]
        self.both(lambda store: store.register(rows))

    @rule(job=jobs, most=places, priority=st.integers(0, 1))
    def register_limits(self, job: str, most: int | None, priority: int) -> None:
        name = self.names[job]
        row = JobRegistration(
            job_id=name, schedule=b"{}", cursor=0, next_fire_at=0, limits=limits_of(name, most), priority=priority
        )
        self.both(lambda store: store.register([row]))

    @rule(job=jobs, schedule=schedules, most=places)
    def rename(self, job: str, schedule: bytes | None, most: int | None) -> None:
        """Nobody uses the old name any more, nor has anybody used the new one."""
        old = self.names[job]
        new = self.names[job] = f"{old}'"
        row = JobRegistration(
            job_id=new, schedule=schedule, cursor=0, next_fire_at=0, was=("never", old), limits=limits_of(new, most)
        )
        self.both(lambda store: store.register([row]))

    @rule(job=jobs, steps=st.integers(1, 3), skips=st.booleans(), stale=st.booleans(), data=st.data())
    def advance(self, job: str, steps: int, skips: bool, stale: bool, data: st.DataObject) -> None:
        found = self.both(lambda store: store.jobs())
        assert not isinstance(found, type)
        rows, name = {row.job_id: row for row in found}, self.names[job]
        version, cursor = (rows[name].version, rows[name].cursor) if name in rows else (1, 0)
        begin = cursor or 0
        bounds = [begin + number * HOUR for number in range(steps + 1)]
        spans = list(pairwise(bounds))
        skipped = (spans[0],) if skips else ()
        runs = tuple(
            NewRun(
                run_id=new_id(),
                job_id=self.names[job],
                kind=RunKind.SCHEDULE,
                available_at=0,
                scheduled_at=end,
                interval_start=start,
                interval_end=end,
                limits=limits_of(self.names[job], steps) or (),
            )
            for start, end in spans[len(skipped) :]
        )
        command = Advance(
            job_id=self.names[job],
            version=version + stale,
            cursor_from=cursor,
            cursor_to=bounds[-1],
            next_fire_at=bounds[-1] + HOUR,
            runs=runs,
            skipped=skipped,
            why=data.draw(st.sampled_from(["", "late"])),
        )
        self.both(lambda store: store.advance([command]))

    @rule(job=jobs, paused=st.booleans())
    def set_paused(self, job: str, paused: bool) -> None:
        self.both(lambda store: store.set_paused(self.names[job], paused))

    @rule(job=jobs, override=schedules, cursor=st.none() | hours)
    def set_schedule(self, job: str, override: bytes | None, cursor: int | None) -> None:
        at = None if cursor is None else cursor * HOUR
        self.both(lambda store: store.set_schedule(SetSchedule(job_id=self.names[job], override=override, cursor=at)))

    @rule(job=jobs, version=st.integers(1, 4), since=st.sampled_from([0, LATER]))
    def put_config(self, job: str, version: int, since: int) -> None:
        row = ConfigRow(job_id=self.names[job], version=version, value=b"{}", effective_from=since, created_at=1)
        self.both(lambda store: store.put_config(row))

    @rule(
        job=jobs,
        state=ended,
        before=st.sampled_from([0, LATER, LATER]),
        count=st.integers(0, 2),
        limit=st.integers(1, 3),
        data=st.data(),
    )
    def prune(self, job: str, state: RunState, before: int, count: int, limit: int, data: st.DataObject) -> None:
        after = "".join(self.some_runs(data, most=1))
        command = Prune(job_id=self.names[job], state=state, ended_before=before, count=count, limit=limit, after=after)
        self.both(lambda store: store.prune(command))

    # ---- backfills -----------------------------------------------------------------------------------------

    @rule(
        job=jobs,
        after=jobs,
        first=hours,
        count=st.integers(1, 3),
        reprocess=st.sampled_from(["missing", "failed", "all"]),
        on_failure=st.sampled_from(["continue", "stop"]),
        downstream=st.booleans(),
    )
    def create_backfill(
        self, job: str, after: str, first: int, count: int, reprocess: str, on_failure: str, downstream: bool
    ) -> None:
        row = BackfillRow(
            backfill_id=new_id(),
            job_id=self.names[job],
            start=first * HOUR,
            end=(first + count) * HOUR,
            cursor=first * HOUR,
            order="asc",
            reprocess=reprocess,  # type: ignore[arg-type]  # one of those drawn
            max_parallel=2,
            on_failure=on_failure,  # type: ignore[arg-type]  # one of those drawn
            total=count,
            total_exact=True,
            created_at=1,
            downstream=downstream,
        )
        following = replace(row, backfill_id=new_id(), job_id=self.names[after], after=(row.backfill_id,))
        behind = [following] if downstream and after != job else []
        self.both(lambda store: store.create_backfill(row, downstream=behind))
        self.backfill_ids += [one.backfill_id for one in (row, *behind)]

    @precondition(lambda self: bool(self.backfill_ids))
    @rule(data=st.data(), priority=st.integers(0, 1), stale=st.booleans())
    def step_backfill(self, data: st.DataObject, priority: int, stale: bool) -> None:
        row = self.backfill(data.draw(st.sampled_from(self.backfill_ids)))
        end = min(row.cursor + HOUR, row.end)
        run = NewRun(
            run_id=new_id(),
            job_id=row.job_id,
            kind=RunKind.BACKFILL,
            available_at=0,
            interval_start=row.cursor,
            interval_end=row.cursor + HOUR,
            generation=0,
            priority=priority,
            limits=((backfill_key(row.backfill_id), row.max_parallel),),
            backfill_id=row.backfill_id,
        )
        command = BackfillStep(
            backfill_id=row.backfill_id,
            cursor_from=row.cursor - stale,
            cursor_to=end,
            runs=(run,) if row.cursor < row.end else (),
            planned=end == row.end,
        )
        self.both(lambda store: store.step_backfill(command))

    @precondition(lambda self: bool(self.backfill_ids))
    @rule(
        data=st.data(),
        state=st.sampled_from([BackfillState.PAUSED, BackfillState.RUNNING, BackfillState.CANCELLED]),
    )
    def set_backfill_state(self, data: st.DataObject, state: BackfillState) -> None:
        backfill_id = data.draw(st.sampled_from(self.backfill_ids))
        self.both(lambda store: store.set_backfill_state(backfill_id, state))
