"""Enqueue, claim and finish: what every job store promises."""

import asyncio

import pytest
from tests.conformance.jobs.support_stores import (
    HOUR,
    StoreFactory,
    claim,
    claim_one,
    ending,
    enqueue,
    interval_run,
    new_run,
    sink_run,
)

from mainspring.base import new_id
from mainspring.errors import IdempotencyError, LeaseLostError, StaleFenceError
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import NEXT_GENERATION, Enqueue, RunFilter, RunKind


async def test_a_run_goes_from_enqueue_to_its_terminal_record(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store, config=b"{}")
        answer = await enqueue(store, run)
        assert (answer.outcome, answer.run_id, answer.claimed) == ("created", run.run_id, None)
        waiting = await store.run(run.run_id)
        assert waiting is not None
        assert waiting.state is RunState.AVAILABLE

        claimed = await claim_one(store, epoch)
        assert (claimed.run_id, claimed.state, claimed.attempt) == (run.run_id, RunState.RUNNING, 1)
        assert (claimed.epoch, claimed.config) == (epoch, b"{}")
        assert claimed.fence > 0
        assert await store.run(run.run_id) == claimed

        ended = await store.finish(ending(claimed, value=b"1", item_count=3))
        assert (ended.state, ended.value, ended.item_count) == (RunState.SUCCEEDED, b"1", 3)
        assert ended.finished_at is not None
        assert await store.run(run.run_id[:30]) == ended
        assert await store.ended([run.run_id, "other"]) == [ended]
        assert await store.unknown([run.run_id, "other", "third"]) == ["other", "third"]
        assert await store.job_counts() == [("job", "succeeded", 1)]


async def test_fences_grow_with_every_claim(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        fences: list[int] = []
        await enqueue(store, new_run(store))
        for _ in range(3):
            record = await claim_one(store, epoch)
            fences.append(record.fence)
            await store.finish(ending(record, RunState.AVAILABLE))
        assert fences == sorted(set(fences))


async def test_one_run_is_never_claimed_twice(stores: StoreFactory) -> None:
    async with stores() as store, stores() as other:
        epochs = [await store.open_node("a"), await other.open_node("b")]
        await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(40)])
        answers = await asyncio.gather(
            *(claim(s, epoch, limit=7) for s, epoch in zip((store, other) * 4, epochs * 4, strict=True))
        )
        ids = [record.run_id for answer in answers for record in answer.runs]
        assert len(ids) == len(set(ids)) == 40


async def test_hot_claim_only_when_nobody_waits(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        hot = await enqueue(store, new_run(store), claim_epoch=epoch)
        assert hot.claimed is not None
        assert (hot.claimed.state, hot.claimed.attempt) == (RunState.RUNNING, 1)
        assert await store.run(hot.run_id) == hot.claimed
        assert (await store.finish(ending(hot.claimed))).state is RunState.SUCCEEDED

        await enqueue(store, new_run(store))
        behind = await enqueue(store, new_run(store), claim_epoch=epoch)
        assert behind.claimed is None
        elsewhere = await enqueue(store, new_run(store, queue="slow"), claim_epoch=epoch)
        assert elsewhere.claimed is not None


@pytest.mark.parametrize("priority", [-1, 1])
async def test_a_run_with_a_priority_is_never_claimed_as_it_is_made(stores: StoreFactory, priority: int) -> None:
    """Not though nobody waits; a run without one goes before those below it, not before those above."""
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store, priority=priority)
        answer = await enqueue(store, run, claim_epoch=epoch)
        assert ("created", None) == (answer.outcome, answer.claimed)
        plain = await enqueue(store, new_run(store), claim_epoch=epoch)
        assert (priority < 0) is (plain.claimed is not None)
        together = [new_run(store, queue="q", priority=priority), new_run(store, queue="q")]
        first, second = await asyncio.gather(*(enqueue(store, one, claim_epoch=epoch) for one in together))
        assert (None, priority < 0) == (first.claimed, second.claimed is not None)
        assert run.run_id in {one.run_id for one in (await claim(store, epoch)).runs}


async def test_hot_claim_respects_limits_time_and_epoch(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        limited = await enqueue(store, new_run(store, queue="a", limits=(("k", 1),)), claim_epoch=epoch)
        later = new_run(store, queue="b", available_at=store.now() + HOUR)
        timed = await enqueue(store, later, claim_epoch=epoch)
        waits = new_run(store, queue="d", state=RunState.WAITING)
        waiting = await enqueue(store, waits, claim_epoch=epoch)
        await store.close_node(epoch)
        dead = await enqueue(store, new_run(store, queue="c"), claim_epoch=epoch)
        assert [answer.claimed for answer in (limited, timed, waiting, dead)] == [None] * 4


async def test_enqueue_sent_again_answers_the_same(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store)
        first = await enqueue(store, run, claim_epoch=epoch)
        again = await enqueue(store, run, claim_epoch=epoch)
        assert (again.outcome, again.claimed) == ("created", first.claimed)
        assert first.claimed is not None
        ended = await store.finish(ending(first.claimed))
        late = await enqueue(store, run, claim_epoch=epoch)
        assert (late.outcome, late.claimed, late.record) == ("created", None, ended)
        assert len(await store.runs(RunFilter())) == 1


async def test_enqueue_many_is_all_or_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        later = store.now() + HOUR
        keyed = new_run(store, idempotency_key="k", arguments_hash=b"1", key_expires_at=later)
        await enqueue(store, keyed)
        other = new_run(store, idempotency_key="k", arguments_hash=b"2", key_expires_at=later)
        with pytest.raises(IdempotencyError):
            await store.enqueue_many([Enqueue(run=new_run(store)), Enqueue(run=other)])
        assert len(await store.runs(RunFilter())) == 1
        answers = await store.enqueue_many([Enqueue(run=new_run(store)) for _ in range(5)])
        assert [answer.outcome for answer in answers] == ["created"] * 5


async def test_one_key_with_two_meanings_in_one_batch_makes_nothing(stores: StoreFactory) -> None:
    async with stores() as store:

        def batch(expires: int) -> list[Enqueue]:
            keyed = {"idempotency_key": "k", "key_expires_at": expires}
            return [Enqueue(run=new_run(store, arguments_hash=hash_, **keyed)) for hash_ in (b"1", b"1", b"2")]

        with pytest.raises(IdempotencyError):
            await store.enqueue_many(batch(store.now() + HOUR))
        assert await store.runs(RunFilter()) == []
        gone = await store.enqueue_many(batch(store.now() - HOUR))
        assert [answer.outcome for answer in gone] == ["created"] * 3


async def test_a_batch_sent_again_answers_the_same(stores: StoreFactory) -> None:
    async with stores() as store:
        keyed = {"idempotency_key": "k", "arguments_hash": b"1", "key_expires_at": store.now() + HOUR}
        batch = [Enqueue(run=new_run(store, **keyed)), Enqueue(run=new_run(store))]
        for _ in range(2):
            answers = await store.enqueue_many(batch)
            assert [(a.outcome, a.run_id) for a in answers] == [("created", c.run.run_id) for c in batch]
        assert len(await store.runs(RunFilter())) == 2


async def test_idempotency_key_returns_the_first_run(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        later = store.now() + HOUR

        def call(hash_: bytes = b"1", *, expires: int = later) -> Enqueue:
            run = new_run(store, idempotency_key="k", arguments_hash=hash_, key_expires_at=expires)
            return Enqueue(run=run)

        first = await store.enqueue(call())
        second = await store.enqueue(call())
        assert (second.outcome, second.run_id) == ("existing", first.run_id)
        ended = await store.finish(ending(await claim_one(store, epoch)))
        third = await store.enqueue(call())
        assert (third.outcome, third.record) == ("existing", ended)
        with pytest.raises(IdempotencyError, match="belongs to run"):
            await store.enqueue(call(b"2"))


async def test_an_expired_idempotency_key_is_forgotten(stores: StoreFactory) -> None:
    async with stores() as store:
        keyed = {"idempotency_key": "k", "arguments_hash": b"1", "key_expires_at": store.now() - 1}
        await enqueue(store, new_run(store, **keyed))
        assert (await enqueue(store, new_run(store, **keyed))).outcome == "created"


async def test_keys_of_one_group_see_each_other(stores: StoreFactory) -> None:
    async with stores() as store:
        keyed = {"idempotency_key": "k", "arguments_hash": b"1", "key_expires_at": store.now() + HOUR}
        answers = await asyncio.gather(*(enqueue(store, new_run(store, **keyed)) for _ in range(4)))
        assert [answer.outcome for answer in answers] == ["created"] + ["existing"] * 3
        assert len({answer.run_id for answer in answers}) == 1


async def test_an_occurrence_has_one_live_run(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = await enqueue(store, interval_run(store, 0))
        joiner = interval_run(store, 0, kind=RunKind.BACKFILL, priority=7)
        second = await enqueue(store, joiner)
        assert (second.outcome, second.run_id) == ("joined", first.run_id)
        claimed = await claim_one(store, epoch)
        assert (claimed.run_id, claimed.priority) == (first.run_id, 7)


async def test_generations_follow_each_other_and_are_linked(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        first = await enqueue(store, interval_run(store, 0))
        ended = await store.finish(ending(await claim_one(store, epoch)))
        same = await enqueue(store, interval_run(store, 0))
        assert (same.outcome, same.record) == ("existing", ended)
        second = await enqueue(store, interval_run(store, 0, generation=NEXT_GENERATION))
        record = await store.run(second.run_id)
        assert record is not None
        assert (second.outcome, record.generation, record.previous_run) == ("created", 2, first.run_id)


async def test_fire_times_without_interval_are_occurrences_too(stores: StoreFactory) -> None:
    async with stores() as store:
        fired = {"kind": RunKind.SCHEDULE, "scheduled_at": 5}
        first = await enqueue(store, new_run(store, **fired))
        assert (await enqueue(store, new_run(store, **fired))).run_id == first.run_id
        manual = new_run(store, scheduled_at=5)
        assert (await enqueue(store, manual)).outcome == "created"


async def test_priority_first_then_fair_between_jobs(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for job, count in (("a", 6), ("b", 2), ("c", 1)):
            await store.enqueue_many([Enqueue(run=new_run(store, job)) for _ in range(count)])
        await enqueue(store, new_run(store, "z", priority=1))
        runs = (await claim(store, epoch, "a", "b", "c", "z", limit=7)).runs
        assert runs[0].job_id == "z"
        assert [record.job_id for record in runs[1:4]] == ["a", "b", "c"]
        assert len(runs) == 7
        rest = (await claim(store, epoch, "a", "b", "c", "z", limit=7)).runs
        assert len(rest) == 3


async def test_the_next_claim_goes_on_behind_the_last_job(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for job in "abc":
            await store.enqueue_many([Enqueue(run=new_run(store, job)) for _ in range(3)])
        served = [(await claim_one(store, epoch, "a", "b", "c")).job_id for _ in range(6)]
        assert served == ["a", "b", "c", "a", "b", "c"]


async def test_claims_take_known_jobs_and_named_queues_only(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for number in range(20):
            await enqueue(store, new_run(store, f"unknown-{number:02}"))
        await enqueue(store, new_run(store, "unknown-10b"))
        await enqueue(store, new_run(store, "mine"))
        await enqueue(store, new_run(store, "mine", queue="slow"))
        assert (await claim(store, epoch, "other")).runs == ()
        assert [r.queue for r in (await claim(store, epoch, "mine")).runs] == ["default"]
        assert [r.queue for r in (await claim(store, epoch, "mine", queues=("slow",))).runs] == ["slow"]
        assert (await claim(store, epoch, "unknown-00", limit=0)).runs == ()


async def test_timed_runs_are_claimed_when_their_time_has_come(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        later = store.now() + HOUR
        await enqueue(store, new_run(store, available_at=later, state=RunState.SCHEDULED))
        due = new_run(store, available_at=store.now() - 1, state=RunState.SCHEDULED)
        await enqueue(store, due)
        answer = await claim(store, epoch)
        assert [record.run_id for record in answer.runs] == [due.run_id]
        assert answer.next_available_at == later


async def test_limits_hold_over_all_jobs_that_share_the_key(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        for job in ("a", "a", "a", "b", "b"):
            await enqueue(store, new_run(store, job, limits=(("shared", 2),)))
        await enqueue(store, new_run(store, "free"))
        first = (await claim(store, epoch, "a", "b", "free")).runs
        assert len([r for r in first if r.job_id != "free"]) == 2
        assert len(first) == 3
        assert (await claim(store, epoch, "a", "b", "free")).runs == ()
        seen = len(first) - 1
        running = [r for r in first if r.job_id != "free"]
        while running:
            await store.finish(ending(running.pop(0)))
            more = (await claim(store, epoch, "a", "b", "free")).runs
            assert len(running) + len(more) <= 2
            running += more
            seen += len(more)
        assert seen == 5


@pytest.mark.parametrize("known", ["b", "c"])
async def test_a_slot_goes_to_a_job_that_the_node_knows(stores: StoreFactory, known: str) -> None:
    """Whichever of the jobs that wait for it has come first."""
    async with stores() as store:
        epoch = await store.open_node("a")
        limits = (("key", 1),)
        for job in "abc":
            await enqueue(store, new_run(store, job, limits=limits))
        (first,) = (await claim(store, epoch, "a", "b", "c")).runs
        assert "a" == first.job_id
        await store.finish(ending(first))
        assert [known] == [record.job_id for record in (await claim(store, epoch, known)).runs]


async def test_two_limits_do_not_lose_a_wake_up(stores: StoreFactory) -> None:
    """A run woken for one key that stops at another hands the slot on."""
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store, "a", limits=(("x", 1),)))
        await enqueue(store, new_run(store, "a", limits=(("y", 1),)))
        x, y = (await claim(store, epoch, "a")).runs
        both = new_run(store, "b", limits=(("x", 1), ("y", 1)))
        await enqueue(store, both)
        assert (await claim(store, epoch, "a", "b")).runs == ()
        only_x = new_run(store, "b", limits=(("x", 1),))
        await enqueue(store, only_x)
        assert (await claim(store, epoch, "a", "b")).runs == ()
        await store.finish(ending(x))
        (taken,) = (await claim(store, epoch, "a", "b")).runs
        assert taken.run_id == only_x.run_id
        await store.finish(ending(y))
        await store.finish(ending(taken))
        assert [r.run_id for r in (await claim(store, epoch, "a", "b")).runs] == [both.run_id]


async def test_a_dead_epoch_can_do_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        await store.close_node(epoch)
        with pytest.raises(LeaseLostError):
            await claim(store, epoch)
        with pytest.raises(StaleFenceError):
            await store.finish(ending(record))
        assert not (await store.heartbeat(epoch)).alive
        free = await store.run(record.run_id)
        assert free is not None
        assert (free.state, free.attempt, free.rescues) == (RunState.AVAILABLE, 0, 0)


async def test_finish_sent_again_is_done_already(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        retrying = ending(
            await claim_one(store, epoch), RunState.RETRYING, available_at=0, error_type="E", error_message="m"
        )
        first = await store.finish(retrying)
        assert await store.finish(retrying) == first
        assert (first.state, first.attempt, first.error_message) == (RunState.RETRYING, 1, "m")
        record = await claim_one(store, epoch)
        assert record.attempt == 2
        with pytest.raises(StaleFenceError):
            await store.finish(retrying)
        last = ending(record)
        ended = await store.finish(last)
        assert await store.finish(last) == ended
        with pytest.raises(StaleFenceError):
            await store.finish(ending(record, fence=record.fence + 1))
        with pytest.raises(StaleFenceError):
            await store.finish(ending(record, run_id=new_id()))
        assert await store.job_counts() == [("job", "succeeded", 1)]


async def test_the_same_finish_twice_in_one_group(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        last = ending(await claim_one(store, epoch))
        one, two = await asyncio.gather(store.finish(last), store.finish(last))
        assert one == two
        assert await store.job_counts() == [("job", "succeeded", 1)]


async def test_a_run_handed_back_is_not_an_attempt(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        back = await store.finish(ending(await claim_one(store, epoch), RunState.AVAILABLE))
        assert (back.state, back.attempt) == (RunState.AVAILABLE, 0)
        assert (await claim_one(store, epoch)).attempt == 1


async def test_retrying_waits_for_its_time(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        later = store.now() + HOUR
        await store.finish(ending(await claim_one(store, epoch), RunState.RETRYING, available_at=later))
        answer = await claim(store, epoch)
        assert (answer.runs, answer.next_available_at) == ((), later)


async def test_cancel_of_a_waiting_run_is_at_once(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        run = new_run(store)
        await enqueue(store, run)
        cancelled = await store.cancel(run.run_id)
        assert cancelled is not None
        assert (cancelled.state, cancelled.error_message) == (RunState.CANCELLED, "cancelled on request")
        assert await store.cancel(run.run_id) == cancelled
        assert await store.cancel(new_id()) is None
        assert (await claim(store, epoch)).runs == ()


async def test_cancel_of_a_running_run_travels_with_the_heartbeat(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        asked = await store.cancel(record.run_id)
        assert asked is not None
        assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)
        assert (await store.heartbeat(epoch)).cancelled == (record.run_id,)
        ended = await store.finish(ending(record, RunState.RETRYING, available_at=0))
        assert ended.state is RunState.CANCELLED
        assert (await store.heartbeat(epoch)).cancelled == ()


async def test_a_cancelled_attempt_answers_what_it_stored(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        await store.cancel(record.run_id)
        retrying = ending(record, RunState.RETRYING, available_at=store.now() + HOUR, error_message="lost")
        ended = await store.finish(retrying)
        assert ended.error_message == "cancelled on request; its attempt failed: lost"
        assert await store.run(record.run_id) == ended
        assert await store.finish(retrying) == ended


async def test_a_finish_that_comes_before_the_cancel_wins(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        await store.cancel(record.run_id)
        assert (await store.finish(ending(record))).state is RunState.SUCCEEDED


async def test_staging_needs_the_fence(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        await store.stage(sink_run(record), "table", 1, b"rows")
        await store.finish(ending(record, RunState.AVAILABLE))
        with pytest.raises(StaleFenceError):
            await store.stage(sink_run(record), "table", 2, b"rows")
        again = await claim_one(store, epoch)
        with pytest.raises(StaleFenceError):
            await store.stage(sink_run(record), "table", 2, b"rows")
        await store.stage(sink_run(again), "table", 1, b"rows")
        await store.finish(ending(again))
        with pytest.raises(StaleFenceError):
            await store.stage(sink_run(again), "table", 2, b"rows")


async def test_runs_are_listed_newest_first_in_pages(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        ids = [(await enqueue(store, new_run(store))).run_id for _ in range(6)]
        done = [(await store.finish(ending(r))).run_id for r in (await claim(store, epoch, limit=3)).runs]
        await enqueue(store, new_run(store, "other"))

        async def listed(**which: object) -> list[str]:
            return [r.run_id for r in await store.runs(RunFilter(**which))]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

        assert await listed(job_id="job") == ids[::-1]
        assert await listed(job_id="job", limit=4) == ids[:1:-1]
        assert await listed(before=ids[2]) == ids[1::-1]
        assert await listed(states=frozenset({RunState.SUCCEEDED})) == done[::-1]
        assert len(await listed(states=frozenset({RunState.AVAILABLE}))) == 4
        assert await store.run("0") is None
        assert await store.run(new_id()) is None


async def test_an_ambiguous_prefix_finds_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        for end in "ab":
            await enqueue(store, new_run(store, run_id=f"00000000-{end}"))
        assert await store.run("00000000") is None
        assert (await store.run("00000000-a")) is not None


async def test_bulk_keeps_every_run(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        count = 600
        await asyncio.gather(*(enqueue(store, new_run(store, f"j{n % 7}")) for n in range(count)))
        jobs = [f"j{n}" for n in range(7)]
        while runs := (await claim(store, epoch, *jobs, limit=250)).runs:
            await asyncio.gather(*(store.finish(ending(record)) for record in runs))
        assert sum(n for _, state, n in await store.job_counts() if state == "succeeded") == count
