"""What travels together stays itself: a group may hold runs and ends of every shape."""

import asyncio
from typing import Any

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim,
    ending,
    enqueue,
    interval_run,
    new_run,
)

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import NEXT_GENERATION, Enqueue, Finish, RunKind

SHAPES: list[dict[str, Any]] = [  # Any: fields of NewRun
    {},
    {"scheduled_at": 7},
    {"config": b'{"a":1}'},
    {"config_version": 0},
    {"priority": 3},
    {"queue": "other"},
    {"kind": RunKind.SPAWN, "parent_run": "parent"},
    {"previous_run": "before", "generation": 2},
    {"interval_start": 0, "interval_end": HOUR},
    {"interval_end": HOUR},
    {"limits": (("key", 1),), "skips": True},
    {"state": RunState.WAITING},
]


@pytest.mark.parametrize("twice", [False, True])
async def test_runs_of_one_group_keep_what_they_were_made_with(stores: StoreFactory, twice: bool) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        runs = [new_run(store, **shape) for shape in SHAPES]
        runs += [new_run(store, "next", **shape) for shape in SHAPES if twice]
        runs += [new_run(store, scheduled_at=store.now()), new_run(store, available_at=store.now() + HOUR)]
        command = [Enqueue(run=run) for run in runs]
        answers = await store.enqueue_many(command)
        assert [("created", run.run_id) for run in runs] == [(one.outcome, one.run_id) for one in answers]
        for run in runs:
            found = await store.run(run.run_id)
            assert found is not None
            kept = set(found.__struct_fields__) & set(run.__struct_fields__)
            assert {name: getattr(run, name) for name in kept} == {name: getattr(found, name) for name in kept}
            assert (found.attempt, found.fence, found.epoch, found.started_at) == (0, 0, None, None)
        taken = await claim(store, epoch, "job", "next", limit=100, queues=("default", "other"))
        left_out = {run.run_id for run in runs if run.limits or run.state is RunState.WAITING}
        left_out.add(runs[-1].run_id)  # its time has not come
        ready = {run.run_id for run in runs} - left_out
        assert ready == {one.run_id for one in taken.runs} - left_out


async def test_hot_claims_of_one_group_are_answered_as_they_are_kept(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        now = store.now()
        shapes: list[dict[str, Any]] = [
            {},
            {"scheduled_at": now},
            {"scheduled_at": 7},
            {"config": b"{}"},
            {"queue": "q"},
        ]
        runs = [new_run(store, available_at=now, **shape) for shape in shapes]
        answers = await asyncio.gather(*(enqueue(store, run, claim_epoch=epoch) for run in runs))
        for run, answer in zip(runs, answers, strict=True):
            assert answer.claimed is not None
            assert answer.claimed == await store.run(run.run_id)
            kept = (answer.claimed.state, answer.claimed.attempt, answer.claimed.epoch)
            assert kept == (RunState.RUNNING, 1, epoch)


async def test_ends_of_one_group_keep_what_each_of_them_says(stores: StoreFactory) -> None:
    says: list[dict[str, Any]] = [
        {},
        {"finished_at": 5},
        {"value": b"1"},
        {"item_count": 2},
        {"state": RunState.FAILED},
        {"state": RunState.FAILED, "error_type": "E", "error_message": "m", "error_detail": "d"},
        {"state": RunState.CANCELLED},
        {"error_message": "spooled"},
    ]
    async with stores() as store:
        epoch = await store.open_node("a")
        for number in range(len(says)):
            await enqueue(store, new_run(store, interval_start=number * HOUR, interval_end=(number + 1) * HOUR))
        taken = (await claim(store, epoch, limit=len(says))).runs
        ends = [ending(record, **said) for record, said in zip(taken, says, strict=True)]
        ended = await asyncio.gather(*(store.finish(one) for one in ends))
        for before, end, after in zip(taken, ends, ended, strict=True):
            assert after == await store.run(before.run_id)
            said = set(Finish.__struct_fields__) & set(after.__struct_fields__) - {"available_at"}
            assert {name: getattr(end, name) for name in said} == {name: getattr(after, name) for name in said}
            assert (before.interval_start, before.available_at) == (after.interval_start, after.available_at)
        counts = {state: count for _, state, count in await store.job_counts()}
        assert {"succeeded": 5, "failed": 2, "cancelled": 1} == counts


async def test_occurrences_of_one_group_find_what_was_there_and_each_other(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, interval_run(store, 1 * HOUR))
        (ended,) = (await claim(store, epoch)).runs
        await store.finish(ending(ended))
        live = interval_run(store, 0)
        await enqueue(store, live)
        again = interval_run(store, 1 * HOUR, generation=NEXT_GENERATION)
        first, second = interval_run(store, 2 * HOUR), interval_run(store, 2 * HOUR)
        runs = [
            interval_run(store, 0),
            interval_run(store, 1 * HOUR),
            again,
            first,
            second,
            interval_run(store, 3 * HOUR),
        ]
        answers = await store.enqueue_many([Enqueue(run=run) for run in runs])
        assert ["joined", "existing", "created", "created", "joined", "created"] == [one.outcome for one in answers]
        found = [one.run_id for one in answers]
        assert [live.run_id, ended.run_id, again.run_id, first.run_id, first.run_id, runs[-1].run_id] == found
        linked = await store.run(again.run_id)
        assert linked is not None
        assert (2, ended.run_id) == (linked.generation, linked.previous_run)
