"""What running attempts say so far can be read, as long as they hold their run, and goes with its record."""

from typing import Any

from tests.conformance.jobs.support_stores import StoreFactory, claim_one, ending, enqueue, new_run

from mainspring.jobs.model import RunState
from mainspring.jobs.stores import JobStore, Progress, Prune, Report, RunFilter, RunRecord

HALF = Progress(done=5, total=10, at=1)
MOST = Progress(done=9.5, total=None, at=2)


def report_of(record: RunRecord, **said: Any) -> Report:  # Any: fields of Report
    return Report(run_id=record.run_id, fence=record.fence, attempt=record.attempt, **said)


async def progress_of(store: JobStore, run_id: str) -> Progress | None:
    record = await store.run(run_id)
    assert record is not None
    (listed,) = [one for one in await store.runs(RunFilter()) if one.run_id == run_id]
    assert record.progress == listed.progress
    return record.progress


async def test_a_running_run_tells_its_lines_and_its_progress(stores: StoreFactory) -> None:
    async with stores() as store, stores() as other:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        await store.report([report_of(record, log=b"one", progress=HALF)])
        await store.report([report_of(record, log=b"one, two")])
        assert HALF == await progress_of(other, record.run_id)
        await store.report([report_of(record, progress=MOST)])
        assert MOST == await progress_of(other, record.run_id)
        assert [(record.fence, 1, b"one, two")] == [
            (one.fence, one.attempt, one.log) for one in await other.logs(record.run_id)
        ]
        await store.finish(ending(record, log=b"all", progress=replace_done(HALF, 10)))
        assert [b"all"] == [one.log for one in await other.logs(record.run_id)]
        assert replace_done(HALF, 10) == await progress_of(other, record.run_id)


def replace_done(progress: Progress, done: float) -> Progress:
    return Progress(done=done, total=progress.total, at=progress.at)


async def test_a_report_that_is_overtaken_changes_nothing(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        first = await claim_one(store, epoch)
        await store.finish(ending(first, RunState.AVAILABLE, log=b"first", progress=HALF))
        await store.report([report_of(first, log=b"late", progress=MOST)])
        assert HALF == await progress_of(store, first.run_id)
        second = await claim_one(store, epoch)
        assert None is await progress_of(store, first.run_id), "what an earlier claim said is no progress of this one"
        await store.report([report_of(first, log=b"late", progress=MOST)])
        await store.finish(ending(second, log=b"second"))
        await store.report([report_of(second, log=b"late", progress=MOST), report_of(first, progress=MOST)])
        assert None is await progress_of(store, first.run_id)
        assert [b"first", b"second"] == [one.log for one in await store.logs(first.run_id)]


async def test_an_attempt_that_died_leaves_what_it_had_reported(stores: StoreFactory) -> None:
    async with stores() as survivor:
        async with stores() as store:
            epoch = await store.open_node("a")
            await enqueue(store, new_run(store))
            record = await claim_one(store, epoch)
            await store.report([report_of(record, log=b"last words", progress=HALF)])
        await survivor.rescue()
        assert [b"last words"] == [one.log for one in await survivor.logs(record.run_id)]
        assert HALF == await progress_of(survivor, record.run_id)


async def test_progress_goes_with_the_record(stores: StoreFactory) -> None:
    async with stores() as store:
        epoch = await store.open_node("a")
        await enqueue(store, new_run(store))
        record = await claim_one(store, epoch)
        ended = await store.finish(ending(record, progress=HALF))
        later = (ended.finished_at or 0) + 1
        command = Prune(job_id="job", state=RunState.SUCCEEDED, ended_before=later, limit=10)
        assert 1 == (await store.prune(command)).gone
        await enqueue(store, new_run(store, run_id=record.run_id))
        again = await claim_one(store, epoch)
        assert again.run_id == record.run_id
        assert None is await progress_of(store, record.run_id)
