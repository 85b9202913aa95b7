"""Kill -9 a process that writes to a job store, at moments drawn from what it prints; reopen and compare."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.base import current_random, use_random
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, Enqueue, NewRun, RunFilter, RunKind, SqliteStore

WRITER = """
import asyncio, sys
from mainspring.base import new_id
from mainspring.jobs.model import RunState
from mainspring.jobs.stores import Claim, Enqueue, Finish, NewRun, RunKind, SqliteStore

async def work(store, epoch, name):
    number = 0
    while True:
        number += 1
        run = NewRun(run_id=new_id(), job_id=name, kind=RunKind.MANUAL, available_at=store.now(),
                     limits=((name, 1),))
        await store.enqueue(Enqueue(run=run))
        print("created", run.run_id, flush=True)
        for record in (await store.claim(Claim(epoch=epoch, limit=1, jobs=frozenset({name})))).runs:
            print("claimed", record.run_id, flush=True)
            await store.finish(Finish(run_id=record.run_id, epoch=epoch, fence=record.fence,
                attempt=record.attempt, state=RunState.SUCCEEDED, finished_at=store.now()))
            print("ended", record.run_id, flush=True)

async def main():
    store = SqliteStore(sys.argv[1], durability=sys.argv[2])
    await store.open()
    epoch = await store.open_node("child")
    await asyncio.gather(*(work(store, epoch, f"job-{n}") for n in range(8)))

asyncio.run(main())
"""


def start(path: Path, durability: str = "process") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), durability],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def read_until_killed(child: "subprocess.Popen[str]", lines: int) -> list[tuple[str, str]]:
    """Return what the child acknowledged: up to the drawn moment, and what it printed until it was gone."""
    assert child.stdout is not None
    said: list[str] = []
    with child:
        while len(said) < lines:
            said.append(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(words[0], words[1]) for words in whole if len(words) == 2 and len(words[1]) == 36]


@pytest.mark.parametrize("seed", range(5))
async def test_every_acknowledged_write_survives_the_kill(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "jobs.db"
    ended: set[str] = set()
    created: set[str] = set()
    with use_random(seed):
        moments = [current_random().randint(1, 120) for _ in range(2)]
    for moment in moments:
        for word, run_id in read_until_killed(start(path, "disk" if seed == 0 else "process"), moment):
            if word != "claimed":
                (created if word == "created" else ended).add(run_id)
    store = SqliteStore(path, durability="process")
    await store.open()
    try:
        await store.rescue()
        records = {r.run_id: r for r in await store.runs(RunFilter(limit=100_000))}
        assert created <= set(records)
        assert {records[run_id].state for run_id in ended} <= {RunState.SUCCEEDED}
        assert {r.state for r in records.values()} <= {RunState.SUCCEEDED, RunState.AVAILABLE}
        terminal = sum(r.state.terminal for r in records.values())
        assert terminal == sum(n for _, state, n in await store.job_counts() if state == "succeeded")
        # the slots of the dead are free again: each job can be claimed at once
        epoch = await store.open_node("next")
        for number in range(8):
            run = NewRun(
                run_id=f"after-{number}",
                job_id=f"job-{number}",
                kind=RunKind.MANUAL,
                available_at=store.now(),
                limits=((f"job-{number}", 1),),
            )
            await store.enqueue(Enqueue(run=run))
            assert (await store.claim(Claim(epoch=epoch, limit=1, jobs=frozenset({f"job-{number}"})))).runs
    finally:
        await store.close()


def lines_of(child: "subprocess.Popen[str]", count: int) -> list[str]:
    assert child.stdout is not None
    return [child.stdout.readline() for _ in range(count)]


async def test_two_processes_on_one_file_both_progress(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = SqliteStore(path, durability="process")
    await store.open()
    epoch = await store.open_node("parent")
    child = start(path)
    assert child.stdout is not None
    try:
        assert child.stdout.readline().startswith("created")
        assert (await store.heartbeat(epoch)).alive
        assert store.owner.yield_between_groups > 0
        theirs = asyncio.ensure_future(asyncio.to_thread(lines_of, child, 20))
        number = 0
        while number < 200 or not theirs.done():
            run = NewRun(run_id=f"mine-{number}", job_id="mine", kind=RunKind.MANUAL, available_at=store.now())
            assert (await store.enqueue(Enqueue(run=run, claim_epoch=epoch))).outcome == "created"
            number += 1
        assert all(await theirs)
    finally:
        read_until_killed(child, 0)
        freed = await store.rescue()
        await store.close()
    assert {r.state for r in freed} <= {RunState.AVAILABLE}
