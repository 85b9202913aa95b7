import asyncio
from pathlib import Path

from mainspring.base import new_id
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, Enqueue, Finish, NewRun, RunKind, SqliteStore
from mainspring.storage import InlineRunner


async def test_runs_behind_many_that_must_wait_are_reached(tmp_path: Path) -> None:
    """A claim parks a bounded number of runs, and then asks to be called again at once."""
    store = SqliteStore(tmp_path / "jobs.db", durability="memory", runner=InlineRunner())
    await store.open()
    epoch = await store.open_node("a")

    def run(number: int, *, limited: bool) -> Enqueue:
        limits = (("k", 1),) if limited else ()
        made = NewRun(
            run_id=new_id(),
            job_id="job",
            kind=RunKind.MANUAL,
            available_at=number,
            limits=limits,
        )
        return Enqueue(run=made)

    await store.enqueue_many([run(number, limited=True) for number in range(60)])
    await store.enqueue_many([run(99, limited=False)])
    claim = Claim(epoch=epoch, limit=1, jobs=frozenset({"job"}))
    (first,) = (await store.claim(claim)).runs
    answers = [await store.claim(claim)]
    while not answers[-1].runs:
        assert answers[-1].next_available_at is not None
        answers.append(await store.claim(claim))
    assert answers[-1].runs[0].available_at == 99
    assert len(answers) > 1
    await store.finish(
        Finish(
            run_id=first.run_id,
            epoch=epoch,
            fence=first.fence,
            attempt=1,
            state=RunState.SUCCEEDED,
            finished_at=1,
        )
    )
    assert [r.available_at for r in (await store.claim(claim)).runs] == [1]
    await store.close()


async def test_more_jobs_than_one_look_finds(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "jobs.db", durability="memory", runner=InlineRunner())
    await store.open()
    epoch = await store.open_node("a")
    jobs = [f"job-{number:03}" for number in range(600)]
    runs = [NewRun(run_id=new_id(), job_id=job, kind=RunKind.MANUAL, available_at=0) for job in jobs]
    await asyncio.gather(*(store.enqueue(Enqueue(run=run)) for run in runs))
    known = frozenset(jobs[590:])
    served: list[str] = []
    for _ in range(4):
        answer = await store.claim(Claim(epoch=epoch, limit=3, jobs=known))
        served += [record.job_id for record in answer.runs]
    assert served == jobs[590:]
    await store.close()
