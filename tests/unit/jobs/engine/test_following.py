"""Runs that come from runs: spawned ones, and the next generation of ended ones."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, at, eventually, make_app, running

from mainspring.base import Backoff
from mainspring.errors import IdempotencyError, InvalidArgumentError, UnknownJobError
from mainspring.jobs import DataInterval, JobApp, JobContext, Keep, Retention, RunState
from mainspring.testing import VirtualClock


def family(path: Path, **options: Any) -> JobApp:
    """Return an app whose job `parent` squares numbers by spawning a `child` for each."""
    app = make_app(path, **options)

    @app.job("parent", retry=2)
    async def parent(ctx: JobContext, config: dict[str, Any]) -> int:
        children = [await ctx.spawn("child", {"n": n}, key=str(n)) for n in config["numbers"]]
        results = await asyncio.gather(*(one.wait() for one in children))
        return sum(result.check().value for result in results)

    @app.job("child")
    async def child(config: dict[str, Any]) -> int:
        return int(config["n"]) ** 2

    return app


@pytest.mark.parametrize("slots", [1, 2, 100])
async def test_a_run_that_waits_for_runs_gives_its_slot_back(tmp_path: Path, slots: int) -> None:
    app = family(tmp_path, slots=slots)
    async with running(app):
        parents = [app.run_job("parent", {"numbers": [n, n + 1]}) for n in range(5)]
        results = await asyncio.wait_for(asyncio.gather(*parents), 30)
        assert [result.value for result in results] == [n * n + (n + 1) ** 2 for n in range(5)]
        children = await app.runs("child", limit=100)
    assert len(children) == 10
    assert {child.parent_run for child in children} == {result.run_id for result in results}
    assert {child.kind.value for child in children} == {"spawn"}


async def test_no_more_handlers_work_than_there_are_slots(tmp_path: Path) -> None:
    """Those that wait are not at work; who comes back from a wait takes a slot again."""
    app = make_app(tmp_path, slots=2)
    working = most = 0

    async def work() -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        for _ in range(5):
            await asyncio.sleep(0)
        working -= 1

    @app.job("parent")
    async def parent() -> None:
        await work()
        await app.run_job("child")
        await work()

    @app.job("child")
    async def child() -> None:
        await work()

    async with running(app):
        await asyncio.wait_for(asyncio.gather(*(app.run_job("parent") for _ in range(8))), 30)
    assert most == 2


async def test_a_handler_may_wait_for_a_backfill_with_its_only_slot(tmp_path: Path) -> None:
    app = make_app(tmp_path, slots=1)

    @app.job("hours", every=3600)
    async def hours() -> None: ...

    @app.job("parent")
    async def parent() -> int:
        backfill = await app.backfill("hours", START, at(5))
        return (await backfill.wait()).succeeded

    async with running(app):
        assert (await asyncio.wait_for(app.run_job("parent"), 30)).value == 5


async def test_a_later_attempt_gets_the_runs_of_the_first(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    tried: list[str] = []

    @app.job("parent", retry=1)
    async def parent(ctx: JobContext) -> str:
        good = await ctx.spawn("good", key="a")
        flaky = await ctx.spawn("flaky", key="a")
        again = await ctx.spawn("flaky", key="a")
        free = await ctx.spawn("good")
        assert again.run_id == flaky.run_id != good.run_id != free.run_id
        assert "good" in repr(good)
        await free.wait()
        return f"{(await good.wait()).check().value} {(await flaky.wait()).check().value}"

    @app.job("good")
    async def good() -> str:
        tried.append("good")
        return "fine"

    @app.job("flaky")
    async def flaky() -> str:
        tried.append("flaky")
        if tried.count("flaky") == 1:
            raise OSError("not yet")
        return "now"

    async with running(app):
        result = await app.run_job("parent")
        assert (result.value, result.attempt) == ("fine now", 2)
        first, second = (await app.runs("flaky"))[::-1]
    assert (second.generation, second.previous_run) == (2, first.run_id)
    assert tried.count("good") == 3  # one by its key, and one in each attempt


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_no_key_is_taken_for_that_of_a_later_attempt_or_of_another_job(tmp_path: Path, kind: str) -> None:
    app = JobApp("test", store="memory" if kind == "memory" else tmp_path / "state.db")
    keys = ["p", "p#2", "p#2#2", "p%232", "p%"]
    runs: dict[tuple[str, str], list[str]] = {}
    tried: list[object] = []

    @app.job("parent", retry=Backoff(0.0, max_tries=3))
    async def parent(ctx: JobContext) -> None:
        named = [("part", key) for key in keys] + [("part/a", "b"), ("part", "a/b"), ("part%2Fa", "b")]
        children = [await ctx.spawn(job, {"of": [job, key]}, key=key) for job, key in named]
        for name, child in zip(named, children, strict=True):
            runs.setdefault(name, []).append(child.run_id)
        results = await asyncio.gather(*(child.wait() for child in children))
        assert [list(name) for name in named] == [result.check().value for result in results]

    async def part(config: dict[str, Any]) -> object:
        tried.append(config["of"])
        if config["of"] == ["part", "p"] and tried.count(["part", "p"]) < 3:
            raise OSError("not yet")
        return config["of"]

    for job_id in ("part", "part/a", "part%2Fa"):
        app.job(job_id)(part)
    async with running(app):
        assert (await app.run_job("parent")).ok
    assert len(runs.pop(("part", "p"))) == 3
    others = [set(ids) for ids in runs.values()]
    assert [1] * 7 == [len(ids) for ids in others]
    assert len({run_id for ids in others for run_id in ids}) == 7


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_keyed_child_that_succeeded_is_not_run_again_after_retention(tmp_path: Path, kind: str) -> None:
    app = JobApp("test", store="memory" if kind == "memory" else tmp_path / "state.db", poll_interval=600.0)
    ran: list[str] = []

    @app.job("parent", retry=Backoff(3600.0, maximum=3600.0, max_tries=2))
    async def parent(ctx: JobContext) -> object:
        child = await ctx.spawn("child", key="p")
        value = (await child.wait()).check().value
        if ctx.attempt == 1:
            raise OSError("again in an hour")
        return value

    @app.job("child")
    async def child() -> str:
        ran.append("child")
        return "done"

    async def main() -> None:
        async with running(app):
            result = asyncio.create_task(app.run_job("parent"))
            await asyncio.sleep(1800.0)
            assert ["child"] == ran
            assert 0 == await app.prune(Retention(succeeded=Keep(count=0, age=0.0)))
            assert "done" == (await result).check().value
            assert ["child"] == ran

    with VirtualClock(START) as clock:
        clock.run(main())


async def test_what_cannot_be_spawned_is_said(tmp_path: Path) -> None:
    app = family(tmp_path)
    said: list[Exception] = []

    @app.job("wrong")
    async def wrong(ctx: JobContext) -> None:
        try:
            await ctx.spawn("nobody")
        except UnknownJobError as error:
            said.append(error)
        await ctx.spawn("child", {"n": 1}, key="k")
        try:
            await ctx.spawn("child", {"n": 2}, key="k")
        except IdempotencyError as error:
            said.append(error)

    async with running(app):
        assert (await app.run_job("wrong")).ok
        with pytest.raises(InvalidArgumentError, match="runs in this app"):
            await app.spawn("nobody", "child")
    assert len(said) == 2


async def test_a_cancelled_parent_leaves_its_children(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    gate = asyncio.Event()
    begun: list[str] = []

    @app.job("parent")
    async def parent(ctx: JobContext) -> None:
        child = await ctx.spawn("child")
        begun.append(child.run_id)
        await child.wait()

    @app.job("child")
    async def child() -> None:
        await gate.wait()

    async def has_begun() -> bool:
        return bool(begun)

    async with running(app):
        waiting = asyncio.create_task(app.run_job("parent"))
        await eventually(has_begun)
        (live,) = await app.runs("parent")
        await app.cancel(live.run_id)
        assert (await waiting).state is RunState.CANCELLED
        gate.set()

        async def child_ended() -> bool:
            record = await app.run(begun[0])
            return record is not None and record.state is RunState.SUCCEEDED

        await eventually(child_ended)


async def test_a_retry_is_the_next_generation(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    failing = [True]

    @app.job("call")
    async def call(config: dict[str, Any]) -> object:
        if failing:
            raise OSError("no")
        return config["n"]

    async with running(app):
        first = await app.run_job("call", {"n": 7})
        again = await app.retry(first.run_id)
        ended = await app.wait_for_run(again.run_id)
        assert (ended.generation, ended.previous_run, ended.state) == (2, first.run_id, RunState.FAILED)
        failing.clear()
        third = await app.wait_for_run((await app.retry(first.run_id)).run_id)
        assert (third.generation, third.previous_run, third.value) == (3, ended.run_id, b"7")


async def test_two_retries_at_once_make_one_run(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    gate = asyncio.Event()

    @app.job("call")
    async def call() -> None:
        await gate.wait()
        raise OSError("no")

    async with running(app):
        gate.set()
        first = await app.run_job("call")
        gate.clear()
        one, two = await asyncio.gather(app.retry(first.run_id), app.retry(first.run_id))
        assert one.run_id == two.run_id
        with pytest.raises(InvalidArgumentError, match="a run that has ended"):
            await app.retry(one.run_id)
        gate.set()
        await app.wait_for_run(one.run_id)


async def test_retrying_an_interval_releases_what_waits_for_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    failing = {at(2)}

    @app.job("hours", every=3600)
    async def hours(data_interval: DataInterval) -> None:
        if data_interval.start in failing:
            raise OSError("broken hour")

    @app.job("days", cron="0 0 * * *", needs=["hours"])
    async def days() -> None: ...

    async with running(app):
        await (await app.backfill("hours", START, at(24))).wait()
        backfill = await app.backfill("days", START, at(24))

        async def blocked() -> bool:
            waiting = await app.runs("days", states=[RunState.WAITING])
            return [run.blocked_by for run in waiting] == ["blocked by hours 2013-01-01T02:00Z"]

        await eventually(blocked)
        failing.clear()
        (failed,) = await app.runs("hours", states=[RunState.FAILED])
        again = await app.wait_for_run((await app.retry(failed.run_id)).run_id)
        assert (again.generation, again.previous_run, again.state) == (2, failed.run_id, RunState.SUCCEEDED)
        assert (await backfill.wait()).succeeded == 1


async def test_an_instant_and_a_skipped_range(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("once", at=START)
    async def once() -> None: ...

    now = START + timedelta(days=300)

    @app.job("hours", every=3600, start_at=now)
    async def hours() -> None: ...

    async with running(app):

        async def both() -> bool:
            return len(await app.runs(states=[RunState.SKIPPED, RunState.SUCCEEDED])) >= 2

        await eventually(both)
        ranges = [run for run in await app.runs("hours", states=[RunState.SKIPPED]) if run.scheduled_at is None]
        with pytest.raises(InvalidArgumentError, match="a range that was skipped"):
            await app.retry(ranges[0].run_id)
        with pytest.raises(InvalidArgumentError, match="beginning of it"):
            await app.retry("nobody")
