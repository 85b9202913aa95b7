"""One handler, run without a store: what it gets, what it gives, and what it is refused."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest

from mainspring.errors import (
    ClosedError,
    ConfigError,
    InvalidArgumentError,
    InvalidItemError,
    TableSchemaError,
    UnknownJobError,
    UnroutedItemError,
)
from mainspring.jobs import DataInterval, HandlerResult, JobApp, JobContext, Resource, RunInfo, job
from mainspring.sinks import (
    Csv,
    JsonLines,
    SinkRun,
    SqlTable,
    SqlTransaction,
    TransactionalBatch,
    TransactionalSink,
)
from mainspring.testing import EmittedItem, VirtualClock, run_job

START = datetime(2024, 3, 31, tzinfo=UTC)


class Pool(Resource):
    def __init__(self) -> None:
        self.size = 3

    async def acquire(self, ctx: JobContext) -> AsyncIterator[str]:
        ctx.log.info("borrowed")
        yield f"connection of {self.size}"
        ctx.log.info("given back")


class SmallPool(Pool):
    def __init__(self) -> None:
        self.size = 1


@dataclass
class Trade:
    price: int


def square(number: int) -> int:
    logging.getLogger("cpu").warning("squaring %d", number)
    return number * number


def in_process(ctx: RunInfo, config: dict[str, int]) -> Iterator[int]:
    yield from range(config["n"])


def whole(ctx: RunInfo) -> str:
    return ctx.job_id


async def test_a_plain_handler_is_a_job_without_options() -> None:
    async def load(ctx: JobContext, data_interval: DataInterval, scheduled_time: datetime, config: object) -> str:
        assert (2, 1, None) == (ctx.attempt, ctx.fence, ctx.deadline_at)
        await ctx.emit("one", key="k")
        ctx.log.info("half way")
        await asyncio.to_thread(ctx.emit_sync, "two")
        return f"{data_interval.start:%H} {scheduled_time:%H} {config}"

    result = await run_job(load, interval=(START, START + timedelta(hours=1)), config={"a": 1}, attempt=2)
    assert "00 01 {'a': 1}" == result.value
    assert ["one", "two"] == result.items
    assert ["k", None] == [one.key for one in result.emitted]
    assert ["half way"] == [line.message for line in result.log]


async def test_what_the_handler_raises_goes_up_and_its_generator_is_closed() -> None:
    closed = asyncio.Event()

    async def load() -> AsyncIterator[int]:
        try:
            yield 1
            raise LookupError("nothing there")
        finally:
            closed.set()

    with pytest.raises(LookupError, match="nothing there"):
        await run_job(load)
    assert closed.is_set()


async def test_resources_are_entered_and_may_be_replaced_by_name_or_by_provider() -> None:
    async def use(db: Annotated[str, Pool]) -> str:
        return db

    real = await run_job(use)
    assert ("connection of 3", ["borrowed", "given back"]) == (real.value, [line.message for line in real.log])
    assert "connection of 1" == (await run_job(use, overrides={Pool: SmallPool})).value
    assert "a fake" == (await run_job(use, overrides={"db": "a fake"})).value
    with pytest.raises(InvalidArgumentError, match=r"parameters of .*use: db"):
        await run_job(use, overrides={"bd": "a fake"})


async def test_the_job_of_an_app_has_its_config_its_resources_and_its_sinks() -> None:
    app = JobApp("shop", store="memory")
    app.override(Pool, SmallPool)
    app.sink(Trade, name="trades")(square_later)
    app.sink(sink=SqlTable("prices"), name="prices")

    @app.resource
    def api() -> str:
        return "the api"

    @app.job("load", config={"a": 1, "b": 2}, deterministic=True)
    async def load(config: dict[str, int], api: str, db: Annotated[str, Pool], ctx: JobContext) -> list[object]:
        await ctx.emit(Trade(5))
        await ctx.emit({"price": 5}, sink="prices")
        with pytest.raises(InvalidItemError):
            await ctx.emit("no row", sink="prices")
        with pytest.raises(UnroutedItemError):
            await ctx.emit(5)
        return [config, api, db]

    result = await run_job("load", app=app, config={"b": 3})
    assert [{"a": 1, "b": 3}, "the api", "connection of 1"] == result.value
    trade, row = result.emitted
    assert EmittedItem(Trade(5), trade.key, "trades") == trade
    assert ("prices", {"price": 5}) == (row.sink, row.item)
    assert trade.key is not None
    assert trade.key.endswith("#1")
    with pytest.raises(UnknownJobError):
        await run_job("other", app=app)


async def square_later(batch: list[Trade]) -> None:
    raise AssertionError("sinks are not called")


async def test_a_jobs_own_sink_takes_all_and_refuses_what_it_cannot_write() -> None:
    app = JobApp("shop", store="memory")

    @app.job("load", sink=SqlTable("prices", replace="interval"))
    async def load(config: dict[str, list[object]]) -> AsyncIterator[object]:
        for item in config["items"]:
            yield item

    hour = (START, START + timedelta(hours=1))
    result = await run_job(load, app=app, interval=hour, config={"items": [{"price": 1}]})
    assert [EmittedItem({"price": 1}, None, "prices")] == list(result.emitted)
    with pytest.raises(InvalidItemError, match="a run with a data interval"):
        await run_job(load, app=app, config={"items": [{"price": 1}]})


async def test_a_job_of_the_default_app_is_known() -> None:
    @job("known_to_the_default_app", config={"n": 7})
    async def known(config: dict[str, int]) -> int:
        return config["n"]

    assert 7 == (await run_job(known)).value
    assert 7 == (await run_job("known_to_the_default_app")).value


async def test_cpu_steps_and_process_handlers_run_in_threads_with_pickled_values() -> None:
    app = JobApp("shop", store="memory")
    app.job("in_process", executor="process", config={"n": 3})(in_process)
    app.job("whole", executor="process")(whole)

    async def steps(ctx: JobContext) -> int:
        with pytest.raises((AttributeError, TypeError), match="pickle"):
            await ctx.cpu(lambda: 1)
        return await ctx.cpu(square, 4)

    result = await run_job(steps)
    assert (16, ["squaring 4"]) == (result.value, [line.message for line in result.log])
    assert [0, 1, 2] == (await run_job("in_process", app=app)).items
    assert "whole" == (await run_job("whole", app=app)).value


async def test_plain_functions_run_in_a_thread_and_emit_from_there() -> None:
    def load(ctx: JobContext) -> Iterator[int]:
        assert threading.current_thread() is not threading.main_thread()
        yield from range(3)

    assert [0, 1, 2] == (await run_job(load)).items


async def test_what_is_emitted_after_the_end_is_refused() -> None:
    late: list[JobContext] = []

    async def load(ctx: JobContext) -> None:
        late.append(ctx)
        await ctx.emit(1)

    assert [1] == (await run_job(load)).items
    with pytest.raises(ClosedError):
        await late[0].emit(2)


def test_a_virtual_clock_makes_waiting_free() -> None:
    async def patient(scheduled_time: datetime) -> datetime:
        await asyncio.sleep(86_400)
        return scheduled_time

    with VirtualClock(START) as clock:
        result = clock.run(run_job(patient))
    assert START == result.value


async def test_a_schema_checks_the_config_and_makes_its_instance() -> None:
    app = JobApp("trial", store="memory")

    @app.job(schema=Trade, config={"price": 1})
    async def trade(config: Trade) -> int:
        return config.price

    assert 5 == (await run_job(trade, config={"price": 5}, app=app)).value
    with pytest.raises(ConfigError, match="price: expected `int`"):
        await run_job(trade, config={"price": "high"}, app=app)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def open_files_in(folder: Path) -> list[Path]:
    return [one for one in files_in(Path("/proc/self/fd")) if str(folder) in os.path.realpath(one)]


HOUR = (START, START + timedelta(hours=1))


async def emitted(sink: object, *items: object, interval: tuple[datetime, datetime] | None = HOUR) -> HandlerResult:
    """Run a job with this sink that yields these items."""
    app = JobApp("shop", store="memory")

    @app.job("load", sink=sink)
    async def load() -> AsyncIterator[object]:
        for item in items:
            yield item

    return await run_job(load, app=app, interval=interval)


class Lists(TransactionalSink):
    def check(self, item: object, run: SinkRun) -> None:
        if not isinstance(item, list):
            raise InvalidItemError(sink=self.label, reason="it is no list")

    def write(self, tx: SqlTransaction, batch: TransactionalBatch) -> int:
        raise AssertionError("nothing is written")


@pytest.mark.parametrize(
    ("sink", "items", "told"),
    [
        (SqlTable("t", key=("id",)), [{"id": 1}, {"noid": 1}], "'id'"),
        (SqlTable("t", database="own.db", item_key=True), [{"id": 1}], "key"),
        (SqlTable("t"), [{"id": 1}, 5], "no columns|5"),
        (Lists(), [[1], 1], "no list"),
        (JsonLines("{run}.jsonl"), [{"a": object()}], "object"),
        (Csv("{job}.csv", columns=["a"]), [{"b": 1}], "no column 'b'"),
        (Csv("{job}.csv"), [{"a": 1}, {"a": 1, "b": 1}], "no column 'b'"),
    ],
    ids=["key", "item_key", "no_row", "own_check", "no_json", "columns", "first_columns"],
)
async def test_what_a_sink_refuses_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sink: object, items: list[object], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidItemError, match=told):
        await emitted(sink, *items)
    assert [] == files_in(tmp_path)


async def test_rows_of_which_no_table_can_be_made_are_refused() -> None:
    with pytest.raises(TableSchemaError, match="its first rows have no columns"):
        await emitted(SqlTable("t"), {}, {})
    for sink in (SqlTable("t", replace="interval"), SqlTable("t", create=False)):
        assert [{}] == (await emitted(sink, {})).items
    assert [{}, {"a": 1}] == (await emitted(SqlTable("t"), {}, {"a": 1})).items
    assert [] == (await emitted(SqlTable("t"))).items


async def test_a_path_that_needs_an_interval_refuses_a_run_without(tmp_path: Path) -> None:
    lines = JsonLines(str(tmp_path / "{start:%H}.jsonl"))
    with pytest.raises(InvalidItemError, match="its path needs a run with a data interval"):
        await emitted(lines, {"a": 1}, interval=None)
    assert [{"a": 1}] == (await emitted(lines, {"a": 1})).items
    assert [] == files_in(tmp_path)


async def test_two_sinks_for_one_place_are_refused_as_in_a_run() -> None:
    app = JobApp("shop", store="memory")
    app.sink(Trade, sink=SqlTable("t", replace="interval"))
    app.sink(int, sink=SqlTable("t", name="other"))
    app.job("load")(square)
    with pytest.raises(InvalidArgumentError, match="another place than sink 't'"):
        await run_job("load", app=app)


async def test_many_items_pass_through_a_file_that_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    items = [{"text": "x" * 100_000, "n": number} for number in range(10)]
    assert items == (await emitted(JsonLines("out.jsonl"), *items)).items
    assert [] == files_in(tmp_path)


async def test_a_handler_that_fails_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    app = JobApp("shop", store="memory")

    @app.job("load", sink=JsonLines("out.jsonl"))
    async def load() -> AsyncIterator[object]:
        for _ in range(10):
            yield "x" * 100_000
        raise LookupError("nothing more")

    with pytest.raises(LookupError):
        await run_job(load, app=app)
    assert [] == files_in(tmp_path)
    assert [] == open_files_in(tmp_path)


async def test_the_log_shows_no_secrets() -> None:
    app = JobApp("shop", store="memory")

    @app.job("leaky", config={"api_key": "key-of-the-api"})
    async def leaky(ctx: JobContext) -> None:
        ctx.config["token"] = "found-later"
        ctx.log.info("with %s and found-later", ctx.config["api_key"])

    assert ["with *** and ***"] == [line.message for line in (await run_job(leaky, app=app)).log]


@pytest.mark.parametrize("interval", [(1, 2), (START,), START, "today"])
async def test_an_interval_that_is_none_is_refused_in_one_sentence(interval: Any) -> None:
    async def load() -> None: ...

    with pytest.raises(InvalidArgumentError, match="expected a DataInterval, or its two ends as aware datetimes"):
        await run_job(load, interval=interval)
