"""What handlers say while they run can be read from outside: a fair share of it with each heartbeat."""

import asyncio
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.errors import InvalidArgumentError, StoreBusyError
from mainspring.jobs import JobApp, JobContext
from mainspring.jobs.engine import _reports as reports
from mainspring.jobs.stores import Report


async def said(app: JobApp, run_id: str) -> tuple[tuple[float, float | None] | None, list[str]]:
    """Return a run's (done, total) and its lines, as another process reads them."""
    async with make_app(Path(str(app.store.location)).parent).reading() as reader:
        record, logs = await reader.run(run_id), await reader.logs(run_id)
    assert record is not None
    told = None if record.progress is None else (record.progress.done, record.progress.total)
    return told, [line.message for _, log in logs for line in log.lines]


async def test_a_running_run_is_read_from_outside(tmp_path: Path) -> None:
    app, go_on = make_app(tmp_path), asyncio.Event()

    @app.job("long")
    async def long(ctx: JobContext) -> None:
        ctx.progress(1, 3)
        ctx.log.info("the first")
        await go_on.wait()
        ctx.progress(2.5)
        ctx.progress(3, 3)
        ctx.log.info("the rest")

    async with running(app):
        result = await app.run_job(long, wait=False)

        async def is_told() -> bool:
            return await said(app, result.run_id) == ((1, 3), ["the first"])

        await eventually(is_told)
        go_on.set()
        await app.wait_for_run(result.run_id)
        assert ((3, 3), ["the first", "the rest"]) == await said(app, result.run_id)


async def test_secrets_are_stars_in_what_is_told_early(tmp_path: Path) -> None:
    app, go_on = make_app(tmp_path), asyncio.Event()

    @app.job("careless", config={"password": "hunter22"})
    async def careless(ctx: JobContext) -> None:
        ctx.log.info("with %s", ctx.config["password"])
        await go_on.wait()

    async with running(app):
        result = await app.run_job(careless, wait=False)

        async def is_told() -> bool:
            return bool((await said(app, result.run_id))[1])

        await eventually(is_told)
        assert ["with ***"] == (await said(app, result.run_id))[1]
        go_on.set()


async def test_a_thread_says_how_far_it_is(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("plain")
    def plain(ctx: JobContext) -> None:
        ctx.progress(7)

    async with running(app):
        result = await app.run_job(plain)
        assert ((7, None), []) == await said(app, result.run_id)


class Count:
    """An integer as other libraries have theirs."""

    def __index__(self) -> int:
        return 5


@pytest.mark.parametrize(("done", "plain"), [(Decimal("2.5"), 2.5), (Fraction(1, 2), 0.5), (Count(), 5), (True, 1)])
async def test_progress_is_a_number_of_any_kind(tmp_path: Path, done: Any, plain: float) -> None:
    app = make_app(tmp_path)

    @app.job("counts")
    async def counts(ctx: JobContext) -> None:
        ctx.progress(done, done)

    async with running(app):
        result = await app.run_job(counts)
        assert result.ok
        assert ((plain, plain), []) == await said(app, result.run_id)


@pytest.mark.parametrize(
    ("done", "total"), [(-1, 3), (1, float("nan")), (float("inf"), 1), (0, -0.5), ("5", 7), (Decimal("nan"), 1)]
)
async def test_what_is_no_progress_is_refused(done: Any, total: Any) -> None:
    app = JobApp("test", store="memory")

    @app.job("wrong")
    async def wrong(ctx: JobContext) -> None:
        with pytest.raises(InvalidArgumentError, match="a number from 0"):
            ctx.progress(done, total)

    async with running(app):
        assert (await app.run_job(wrong)).ok


async def test_those_who_waited_longest_are_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_RUNS", 2)
    monkeypatch.setattr(reports, "MOST_BYTES", 100)
    app, go_on = make_app(tmp_path, poll_interval=30.0), asyncio.Event()
    speakers: dict[str, JobContext] = {}

    @app.job("speaker")
    async def speaker(ctx: JobContext, config: dict[str, str]) -> None:
        speakers[config["name"]] = ctx
        await go_on.wait()

    told: list[set[str]] = []
    refuse = False

    async with running(app):
        names = {(await app.run_job(speaker, {"name": name}, wait=False)).run_id: name for name in "abc"}

        async def all_run() -> bool:
            return len(speakers) == 3

        await eventually(all_run)

        class Store:
            async def report(self, given: list[Report]) -> None:
                if refuse:
                    raise StoreBusyError(store="test", reason="a test")
                told.append({names[one.run_id] for one in given})

        open_app = await app.open()
        executions = open_app.node._running  # the runs, as the node has them
        reporter = reports.Reporter(Store())  # type: ignore[arg-type]  # all that it calls
        await reporter.report(executions)
        for ctx in speakers.values():
            ctx.progress(1)
        refuse = True
        with pytest.raises(StoreBusyError):
            await reporter.report(executions)
        refuse = False
        await reporter.report(executions)
        speakers[next(iter(told[0]))].progress(2)
        await reporter.report(executions)
        await reporter.report(executions)
        assert [2, 2] == [len(one) for one in told]
        assert {"a", "b", "c"} == told[0] | told[1]
        for ctx in speakers.values():
            ctx.log.info("x" * 200)
        await reporter.report(executions)
        assert 1 == len(told[-1]), "a report is bounded in bytes"
        go_on.set()
