"""What can be seen of an app, open or not; and that an app which outlives its loop does not keep it."""

import asyncio
import gc
import weakref
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.base import Backoff
from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp, JobContext
from mainspring.sinks import Delivery, SpoolStats


async def test_an_app_that_is_not_open_has_its_places_and_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))
    app = make_app(tmp_path)
    assert (tmp_path / "state", tmp_path / "state.db-spool") == (app.state_folder, app.spool_folder)
    assert (False, 0, None, False) == (app.is_open, app.running_count, app.epoch, app.holds_lease)
    assert (None, None, []) == (app.sinks, app.spool, list(app.sink_stats()))
    assert SpoolStats(0, 0, 0) == app.spool_stats()
    async with running(app):
        assert (True, True) == (app.is_open, app.holds_lease)
        assert app.epoch is not None
        assert app.sinks is not None
    opened = JobApp("reader", store="memory")
    await opened.open(runner=False)
    assert (True, False, None) == (opened.is_open, opened.holds_lease, opened.epoch)
    await opened.close()


async def test_the_spool_lies_where_it_is_told_and_is_no_larger(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="spool_bytes"):
        JobApp(spool_bytes=0)
    app = make_app(tmp_path, spool=tmp_path / "kept", spool_bytes=2_000)
    at_once = Backoff.constant(0.0, max_tries=1)
    terms = Delivery(retry=at_once, spool_retry=Backoff.constant(3600.0), on_failure="spool")

    @app.sink(str, name="down", delivery=terms)
    async def down(batch: list[str]) -> None:
        raise OSError("refused")

    @app.job("load")
    async def load(ctx: JobContext, config: dict[str, int]) -> None:
        await ctx.emit("x" * config["size"])

    async with running(app):
        assert (await app.run_job(load, {"size": 100})).ok
        assert "SinkWriteError" in str((await app.run_job(load, {"size": 5_000})).error)
        stats = app.spool_stats()
        assert (1, 0) == (stats.waiting_count, stats.dead_count)
        assert 0 < stats.size_bytes <= 2_000
        (seen,) = app.sink_stats()
        assert ("down", 0, 0, 1) == (seen.sink, seen.waiting_count, seen.written_count, seen.spooled_count)
        assert app.spool is not None
        assert tmp_path / "kept" == app.spool.root


def test_a_closed_app_does_not_keep_its_loop() -> None:
    app = JobApp("kept", store="memory")

    async def main() -> "weakref.ref[asyncio.AbstractEventLoop]":
        await app.open()
        await app.close()
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(main())
    gc.collect()
    assert loop() is None
