"""An operator sees and steers the jobs of a running app from its console."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any  # Any: values of commands

import pytest

pytest.importorskip("rich")

from mainspring.cli._console_jobs import add_job_commands
from mainspring.errors import InvalidArgumentError, UnknownJobError
from mainspring.jobs import DataInterval, JobApp
from mainspring.runtime import entrypoint
from mainspring.services import Listing
from mainspring.testing import eventually
from mainspring.tools import Dispatch, DispatchStatus

pytestmark = pytest.mark.extras


class Operated:
    """A running app, and what its operator types."""

    def __init__(self, app: JobApp) -> None:
        self.app = app
        self.commands = Dispatch()
        self.gate = asyncio.Event()
        add_job_commands(self.commands, app)
        add_job_commands(self.commands, app)  # once more changes nothing

    async def ask(self, line: str) -> Any:
        result = await self.commands.run_line(line)
        assert DispatchStatus.DONE is result.status, result.text
        return result.value

    async def rows(self, line: str) -> list[dict[str, Any]]:
        listing: Listing = await self.ask(line)
        assert all(set(listing.columns) <= set(row) for row in listing.rows)
        return [dict(row) for row in listing.rows]


@asynccontextmanager
async def operated(tmp_path: Path) -> AsyncGenerator[Operated]:
    app = JobApp("shop", store=tmp_path / "shop.db", durability="process", poll_interval=0.05)
    under = Operated(app)

    @app.job("greet")
    async def greet(name: str = "nobody") -> str:
        """Say hello."""
        return f"hello {name}"

    @app.job("hold")
    async def hold() -> None:
        await under.gate.wait()

    @app.job("hourly", cron="0 * * * *")
    async def hourly(data_interval: DataInterval) -> None: ...

    async with entrypoint(app, log_config=False, catch_signals=()):
        yield under


async def test_a_run_is_triggered_watched_and_done_again(tmp_path: Path) -> None:
    async with operated(tmp_path) as console:
        assert [] == await console.rows("runs")
        made = await console.ask("trigger greet name=Ada")
        await eventually(lambda: _state(console, made["run"], "succeeded"))
        shown = await console.ask(f"show {made['run']}")
        assert ("greet", "succeeded", 1) == (shown["job"], shown["state"], shown["generation"])
        again = await console.ask(f"retry {made['run']}")
        assert (2, made["run"]) == (again["generation"], again["previous_run"])
        await eventually(lambda: _state(console, again["run"], "succeeded"))
        assert [again["run"], made["run"]] == [one["run"] for one in await console.rows("runs greet succeeded 5")]
        assert 2 == len(await console.rows("runs *"))
        jobs = {one["job"]: one for one in await console.rows("jobs")}
        assert (2, "Say hello.") == (jobs["greet"]["runs"], jobs["greet"]["what"])


async def test_a_running_handler_is_cancelled(tmp_path: Path) -> None:
    async with operated(tmp_path) as console:
        made = await console.ask("trigger hold")
        await eventually(lambda: 1 == console.app.running_count)
        assert [1] == [one["running"] for one in await console.rows("nodes") if one["here"]]
        await console.ask(f"cancel {made['run']}")
        await eventually(lambda: 0 == console.app.running_count)
        await eventually(lambda: _state(console, made["run"], "cancelled"))
        with pytest.raises(InvalidArgumentError, match="this one is cancelled"):
            await console.ask(f"cancel {made['run']}")


async def _state(console: Operated, run_id: str, state: str) -> bool:
    return bool(state == (await console.ask(f"show {run_id}"))["state"])


async def test_a_job_is_paused_and_resumed(tmp_path: Path) -> None:
    async with operated(tmp_path) as console:
        assert "hourly is paused" == await console.ask("pause hourly")
        assert ["hourly"] == [one["job"] for one in await console.rows("jobs") if one["paused"]]
        assert "hourly is resumed" == await console.ask("resume hourly")
        assert [] == [one["job"] for one in await console.rows("jobs") if one["paused"]]
        assert 3 == len(await console.rows("plan hourly 3"))


async def test_what_waits_and_what_is_filled_in_are_listed(tmp_path: Path) -> None:
    app = JobApp("later", store=tmp_path / "later.db", durability="process", schedule=False)

    @app.job("hourly", cron="0 * * * *")
    async def hourly(data_interval: DataInterval) -> None: ...

    await app.open(runner=False)
    console = Operated(app)
    assert [] == await console.rows("queues")
    assert [] == await console.rows("backfills")
    await app.backfill("hourly", "2024-01-01", "2024-01-02")
    assert [("hourly", 24)] == [(one["job"], one["total"]) for one in await console.rows("backfills")]
    await console.ask("trigger hourly")
    assert ["default"] == [one["queue"] for one in await console.rows("queues")]
    await app.close()


async def test_wrong_input_is_named(tmp_path: Path) -> None:
    async with operated(tmp_path) as console:
        with pytest.raises(UnknownJobError):
            await console.ask("trigger nothing")
        with pytest.raises(InvalidArgumentError, match="KEY=VALUE"):
            await console.ask("trigger greet Ada")
        with pytest.raises(InvalidArgumentError, match="the id of a run"):
            await console.ask("show 0123")
        with pytest.raises(InvalidArgumentError, match="1 to 1000"):
            await console.ask("runs * succeeded 1001")


async def test_a_run_that_no_living_node_takes_says_so(tmp_path: Path) -> None:
    async with operated(tmp_path) as console:
        owner = JobApp("shop", store=tmp_path / "shop.db", durability="process")
        owner.job("gone")(lambda: None)
        await owner.open(runner=False)
        await owner.run_job("gone", wait=False)
        await owner.close()
        said = "no node that runs knows the job and takes from its queue"
        assert [said] == [one["why"] for one in await console.rows("runs")]
