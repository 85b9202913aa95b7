"""Each interval's rows in ClickHouse: all of a run's or none, whatever is repeated, late or broken."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.sinks.support_tables import START, call_of, run_of

from mainspring.base import Backoff
from mainspring.errors import ClickHouseRefusedError, ClickHouseUnavailableError, InvalidItemError, StaleFenceError
from mainspring.sinks import ClickHouseIntervals, SinkRun, SinkSession, SinkSet, _clickhouse_intervals
from mainspring.sinks._clickhouse_intervals import IntervalRows
from mainspring.storage import Querier
from mainspring.testing import ClickHouseServer, TCPProxy

pytestmark = pytest.mark.extras


@pytest.fixture
async def querier(clickhouse_server: ClickHouseServer) -> AsyncGenerator[Querier]:
    async with Querier(**clickhouse_server.options) as one:
        yield one


async def numbers(querier: Querier, table: str) -> list[int]:
    result = await querier.query(f"SELECT n FROM {table} ORDER BY n")
    return [row[0] for row in result.result_rows]


async def begin(sinks: SinkSet, sink: ClickHouseIntervals, run: SinkRun, *items: int) -> SinkSession:
    session = sinks.session(run, default=sink)
    for item in items:
        await session.emit({"n": item})
    return session


async def test_superseded_rows_are_deleted_and_the_view_has_the_users_columns_only(querier: Querier) -> None:
    sink = ClickHouseIntervals("cleaned", querier, order_by=("n",))
    async with SinkSet() as sinks:
        for fence in (1, 2):
            await (await begin(sinks, sink, run_of(0, fence=fence), fence, 7)).finish()
    assert [2, 7] == await numbers(querier, "cleaned")
    assert [2, 7] == await numbers(querier, "cleaned_rows")
    assert ("n",) == (await querier.query("SELECT * FROM cleaned")).column_names


async def test_a_longer_interval_replaces_the_shorter_ones_inside(querier: Querier) -> None:
    sink = ClickHouseIntervals("longer", querier)
    day = replace(run_of(0, fence=9), interval_end=START + timedelta(hours=3))
    async with SinkSet() as sinks:
        for hour in range(4):
            await (await begin(sinks, sink, run_of(hour), hour)).finish()
        await (await begin(sinks, sink, day, 100)).finish()
        assert [3, 100] == await numbers(querier, "longer")
        await (await begin(sinks, sink, run_of(1, fence=10), 101)).finish()
        assert [3, 100, 101] == await numbers(querier, "longer")
        await (await begin(sinks, sink, run_of(0, fence=1, job_id="other"), 5)).finish()
        assert [3, 5, 100, 101] == await numbers(querier, "longer")


async def test_the_loop_turns_while_a_handler_that_never_waits_emits(
    querier: Querier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_clickhouse_intervals, "BREATH_BYTES", 1_000)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    async with SinkSet() as sinks:
        session = await begin(sinks, ClickHouseIntervals("turning", querier), run_of(0), *range(1000))
        seen = turns
        counting.cancel()
        await session.discard()
    assert seen >= 10  # 1000 rows have more than 10 000 bytes


async def test_memory_holds_one_block_and_rows_that_were_sent_are_deleted_when_the_run_fails(
    querier: Querier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_clickhouse_intervals, "BLOCK_BYTES", 1_000)
    sink = ClickHouseIntervals("blocks", querier)
    async with SinkSet() as sinks:
        await (await begin(sinks, sink, run_of(0), *range(500))).finish()
        failed = await begin(sinks, sink, run_of(1), *range(1000, 1500))
        await failed.discard()
        assert list(range(500)) == await numbers(querier, "blocks")
        assert 500 == len(await numbers(querier, "blocks_rows"))
        await (await begin(sinks, sink, run_of(1))).discard()
        session = sinks.session(run_of(2), default=sink)
        await asyncio.gather(*(session.emit({"n": number, "text": "x" * 1000}) for number in range(2000, 2010)))
        await session.finish()
        assert 510 == len(await numbers(querier, "blocks"))


async def test_a_run_without_rows_makes_no_table(querier: Querier) -> None:
    sink = ClickHouseIntervals("never", querier)
    async with SinkSet() as sinks:
        await sinks.session(run_of(0), default=sink).finish()
    assert [(0,)] == (await querier.query("EXISTS TABLE never")).result_rows


async def test_rows_that_cannot_be_deleted_now_are_left_for_the_next_commit(
    clickhouse_server: ClickHouseServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Querier):
        refuses = True

        async def query(self, sql: str, **options: Any) -> Any:
            if self.refuses and sql.startswith("DELETE"):
                raise ClickHouseUnavailableError(store="it", reason="busy")
            return await super().query(sql, **options)

    async with Stubborn(**clickhouse_server.options) as querier, SinkSet() as sinks:
        sink = ClickHouseIntervals("stubborn", querier)
        for fence in (1, 2):
            await (await begin(sinks, sink, run_of(0, fence=fence), fence)).finish()
        assert "left for later" in caplog.text
        assert ([2], [1, 2]) == (await numbers(querier, "stubborn"), await numbers(querier, "stubborn_rows"))
        querier.refuses = False
        await (await begin(sinks, sink, run_of(0, fence=3), 3)).finish()
        assert [3] == await numbers(querier, "stubborn_rows")


async def test_a_late_claim_that_commits_after_all_does_not_count(querier: Querier) -> None:
    """Whoever was first at the end: the view goes by the claim."""
    sink = ClickHouseIntervals("late", querier)
    async with SinkSet() as sinks:
        late = await begin(sinks, sink, run_of(0, fence=1), 1)
        (rows,) = late._collectors.values()
        assert isinstance(rows, IntervalRows)
        look, looked, gate = rows._of_interval, asyncio.Event(), asyncio.Event()

        async def look_and_wait() -> list[tuple[int, int, int, str]]:
            found = await look()
            looked.set()
            await gate.wait()
            return found

        rows._of_interval = look_and_wait  # type: ignore[method-assign]  # held up between look and commit
        finishing = asyncio.create_task(late.finish())
        await looked.wait()
        await (await begin(sinks, sink, run_of(0, fence=2), 2)).finish()
        gate.set()
        with pytest.raises(StaleFenceError):
            await finishing
        soon = await begin(sinks, sink, run_of(0, fence=1), 3)
        with pytest.raises(StaleFenceError):
            await soon.finish()
        await soon.discard()
    assert [2] == await numbers(querier, "late")


async def test_a_lost_answer_to_a_commit_does_no_harm(clickhouse_server: ClickHouseServer, querier: Querier) -> None:
    pieces = 0
    bad = {1, 3, 6, 10, 15, 21, 28}  # further and further apart: an answer of several pieces comes through in the end

    def lose_some(piece: bytes) -> bytes:
        nonlocal pieces
        pieces += 1
        if pieces in bad:
            raise ConnectionResetError
        return piece

    async with TCPProxy("127.0.0.1", clickhouse_server.port) as proxy:
        options: dict[str, Any] = {**clickhouse_server.options, "port": proxy.proxy_port}
        async with Querier(**options, retry=Backoff(0.01, max_tries=9)) as shaky, SinkSet() as sinks:
            sink = ClickHouseIntervals("shaky", shaky)
            await (await begin(sinks, sink, run_of(0), 1)).finish()
            proxy.set_content_processors(None, lose_some)
            await (await begin(sinks, sink, run_of(1), 2, 3)).finish()
    assert pieces > 3
    assert [1, 2, 3] == await numbers(querier, "shaky")
    assert [1, 2, 3] == await numbers(querier, "shaky_rows")


async def test_a_database_that_is_gone_fails_the_run_and_later_ones_work() -> None:
    with ClickHouseServer() as server:
        async with Querier(**server.options, retry=Backoff(0.01, max_tries=2)) as querier, SinkSet() as sinks:
            sink = ClickHouseIntervals("gone", querier)
            await (await begin(sinks, sink, run_of(0), 1)).finish()
            server.kill()
            session = await begin(sinks, sink, run_of(0, fence=2), 2)
            with pytest.raises(ClickHouseUnavailableError):
                await session.finish()
            await session.discard()
            server.start()
            assert [1] == await numbers(querier, "gone")
            await (await begin(sinks, sink, run_of(0, fence=3), 3)).finish()
            assert [3] == await numbers(querier, "gone")
            assert [3] == await numbers(querier, "gone_rows")


async def test_a_value_that_does_not_fit_fails_the_run(querier: Querier) -> None:
    sink = ClickHouseIntervals("misfit", querier)
    async with SinkSet() as sinks:
        await (await begin(sinks, sink, run_of(0), 1)).finish()
        session = sinks.session(run_of(1), default=sink)
        await session.emit({"n": "x"})
        with pytest.raises(ClickHouseRefusedError):
            await session.finish()
        await session.discard()
    assert [1] == await numbers(querier, "misfit")


async def test_a_run_without_interval_is_refused() -> None:
    sink = ClickHouseIntervals("t", Querier())
    async with SinkSet() as sinks:
        session = sinks.session(call_of(), default=sink)
        with pytest.raises(InvalidItemError, match="data interval"):
            await session.emit({"n": 1})
    assert "<ClickHouseIntervals 't'>" == repr(sink)


async def test_a_cancelled_emit_loses_no_row(querier: Querier, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, insert_bytes = asyncio.Event(), querier.insert_bytes

    async def insert_later(table: str, data: bytes, **options: Any) -> None:
        await gate.wait()
        await insert_bytes(table, data, **options)

    monkeypatch.setattr(querier, "insert_bytes", insert_later)
    monkeypatch.setattr(_clickhouse_intervals, "BLOCK_BYTES", 100)
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0), default=ClickHouseIntervals("cancelled", querier))
        await session.emit({"n": 1, "text": "x" * 100})  # on its way from now on
        for number in (2, 3):
            emitting = asyncio.create_task(session.emit({"n": number, "text": "x" * 100}))
            await asyncio.sleep(0)
            emitting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await emitting
        gate.set()
        await session.finish()
    assert [1, 2, 3] == await numbers(querier, "cancelled")
