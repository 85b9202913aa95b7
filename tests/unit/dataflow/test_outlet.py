"""What a stage with a sink gives is written, and only then are the messages done that it came of."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.dataflow.support_flows import count_to_100
from tests.unit.sinks.support_targets import Target

from mainspring.base import Backoff
from mainspring.dataflow import BuriedMessage, Dataflow, Edge, NetworkRunner, Process, Runner, WebSocketCxn
from mainspring.errors import InvalidArgumentError, InvalidItemError, StageFailedError
from mainspring.sinks import Delivery, JsonLines, SqlTable, TypedSink, on
from mainspring.testing import eventually
from mainspring.transport import connect

SAME_PATH = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
NEVER = Delivery(max_seconds=3600.0)
ONE_BY_ONE = Delivery(max_count=1)


def row(p: Process, number: int) -> dict[str, int]:
    return {"n": number}


def numbers_in(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [n for (n,) in connection.execute("SELECT n FROM rows ORDER BY n")]
    finally:
        connection.close()


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
async def test_workers_write_into_one_table_and_do_not_wait_for_full_batches_at_the_end(
    start_method: str, tmp_path: Path
) -> None:
    table = SqlTable("rows", key=("n",), database=tmp_path / "rows.db")
    stages = [Runner(count_to_100), Runner(row, 2, sink=table, sink_delivery=NEVER)]
    async with asyncio.timeout(60), Dataflow("rows", stages, start_method=start_method) as flow:
        await flow.wait()
    assert list(range(100)) == numbers_in(tmp_path / "rows.db")
    assert [0, 100] == [stage.written_count for stage in flow.stats().stages]


async def test_a_message_is_not_done_before_it_is_written() -> None:
    target, sources = Target(), list[Process]()
    target.gate.clear()

    def source(p: Process) -> Iterator[int]:
        sources.append(p)
        yield from range(5)

    stages = [Runner(source), Runner(row, sink=target, sink_delivery=ONE_BY_ONE)]
    async with asyncio.timeout(60), Dataflow("rows", stages, mode="inline") as flow:
        await target.tried.wait()
        [way] = sources[0].outbound
        await eventually(lambda: flow.stats().stages[1].handled_count == 5)
        assert (5, 0) == (way.load, way.acknowledged_count)
        target.gate.set()
        await flow.wait()
        assert (0, 5) == (way.load, way.acknowledged_count)
    assert [{"n": n} for n in range(5)] == target.got


async def test_what_is_written_goes_to_the_next_stage_as_well() -> None:
    target, taken = Target(), list[dict[str, int]]()

    def take(p: Process, message: dict[str, int]) -> None:
        taken.append(message)

    stages = [Runner(count_to_100), Runner(row, sink=target, sink_delivery=NEVER), Runner(take)]
    async with asyncio.timeout(60), Dataflow("rows", stages, mode="inline") as flow:
        await flow.wait()
    assert [{"n": n} for n in range(100)] == target.got == taken


async def test_a_source_may_have_a_sink() -> None:
    target = Target()
    async with asyncio.timeout(60), Dataflow("rows", [Runner(count_to_100, sink=target)], mode="inline") as flow:
        await flow.wait()
    assert list(range(100)) == target.got


async def test_a_worker_takes_no_more_while_its_sink_does_not_keep_up() -> None:
    target = Target()
    target.gate.clear()
    made = 0

    def many(p: Process, number: int) -> Iterator[dict[str, int]]:
        nonlocal made
        for n in range(1000):
            made += 1
            yield {"n": n}

    terms = Delivery(max_count=5, max_queue=10)

    def one(p: Process) -> Iterator[int]:
        yield 1

    stages = [Runner(one), Runner(many, sink=target, sink_delivery=terms)]
    async with asyncio.timeout(60), Dataflow("rows", stages, mode="inline") as flow:
        await target.tried.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        assert 10 == made
        target.gate.set()
        await flow.wait()
    assert 1000 == len(target.got)


class Bar(dict[str, int]):
    """A row of a kind of its own."""


class Bars(TypedSink):
    """Takes bars, but for some."""

    def __init__(self) -> None:
        self.got: list[int] = []

    @on(Bar)
    async def write(self, batch: Sequence[Bar]) -> None:
        if any(bar["n"] % 10 == 3 for bar in batch):
            raise InvalidItemError(sink="Bars", reason="ends with 3")
        self.got += [bar["n"] for bar in batch]


async def test_what_a_sink_cannot_take_goes_to_the_hook_and_takes_no_others_along() -> None:
    bars, buried = Bars(), list[BuriedMessage]()

    def bar(p: Process, number: int) -> Any:
        return {"n": number} if number == 50 else Bar(n=number)

    terms = Delivery(max_seconds=3600.0, retry=Backoff.constant(0.0, max_tries=1))
    flow = Dataflow(
        "bars",
        [Runner(count_to_100), Runner(bar, sink=bars, sink_delivery=terms)],
        mode="inline",
        dead_letter=buried.append,
    )
    async with asyncio.timeout(60), flow:
        await flow.wait()
    bad = [n for n in range(100) if n % 10 == 3]
    assert [n for n in range(100) if n not in bad and n != 50] == bars.got
    assert [{"n": n} for n in sorted([50, *bad])] == sorted((one.message for one in buried), key=lambda one: one["n"])
    assert {"UnroutedItemError", "InvalidItemError"} == {type(one.error).__name__ for one in buried}
    assert all(one.message_id.startswith("sink#") for one in buried)
    assert (11, 89) == (flow.stats().stages[1].failed_count, flow.stats().stages[1].written_count)


async def test_a_bad_item_among_those_of_one_message_takes_no_others_along(tmp_path: Path) -> None:
    buried = list[BuriedMessage]()

    def rows(p: Process) -> Iterator[dict[str, int | None]]:
        return ({"n": None if n == 3 else n} for n in range(p.acknowledged, 10))

    def again(p: Process, message: dict[str, int]) -> Iterator[dict[str, int | None]]:
        return ({"n": None if n == 3 else 10 * message["n"] + n} for n in range(10))

    table = SqlTable("rows", key=("n",), database=tmp_path / "rows.db")
    for stages in ([Runner(rows, sink=table)], [Runner(rows), Runner(again, sink=table, filter=has_number)]):
        async with asyncio.timeout(60), Dataflow("rows", stages, mode="inline", dead_letter=buried.append) as flow:
            await flow.wait()
    assert [n for n in range(100) if n % 10 != 3 and n // 10 != 3] == numbers_in(tmp_path / "rows.db")
    assert 1 + 9 == len(buried)


def has_number(message: dict[str, int | None]) -> bool:
    return message["n"] is not None


async def test_what_a_callback_sends_by_itself_is_written_too() -> None:
    target, taken = Target(), list[int]()

    def send(p: Process, number: int) -> None:
        p.send(number)

    def take(p: Process, number: int) -> None:
        taken.append(number)

    stages = [Runner(count_to_100), Runner(send, sink=target)]
    for rest in ([], [Runner(take)]):
        async with asyncio.timeout(60), Dataflow("rows", stages + rest, mode="inline") as flow:
            await flow.wait()
    assert list(range(100)) * 2 == target.got
    assert list(range(100)) == taken


async def test_a_window_smaller_than_a_batch_holds_nothing_up() -> None:
    target = Target()
    edge = Edge(max_in_flight=10, max_waiting=10)
    stages = [Runner(count_to_100), Runner(row, edge=edge, sink=target, sink_delivery=NEVER)]
    async with asyncio.timeout(60), Dataflow("rows", stages, mode="inline") as flow:
        await flow.wait()
    assert [{"n": n} for n in range(100)] == target.got


async def test_batches_are_full_though_all_is_sent_while_callbacks_still_run() -> None:
    target = Target()

    async def slow(p: Process, number: int) -> int:
        for _ in range(20):
            await asyncio.sleep(0)
        return number

    terms = Delivery(max_count=50, max_seconds=3600.0)
    stages = [Runner(count_to_100), Runner(slow, sink=target, sink_delivery=terms)]
    async with asyncio.timeout(60), Dataflow("rows", stages, mode="inline") as flow:
        await flow.wait()
    assert list(range(100)) == target.got
    assert target.attempts < 20  # 2, unless the machine stands still between two messages


WATCHED = """
import asyncio, sqlite3, sys
from mainspring.base import Backoff
from mainspring.dataflow import Dataflow, Runner
from mainspring.sinks import SqlTable

def numbers(p):
    yield from range(p.acknowledged, 30)

def row(p, number):
    return {"n": number}

table = SqlTable("rows", key=("n",), database=sys.argv[1])

async def main(**how):
    async with Dataflow("rows", [Runner(numbers), Runner(row, sink=table)], **how) as flow:
        await flow.wait()

if __name__ == "__main__":
    watching = sqlite3.connect(sys.argv[1])
    watching.execute("PRAGMA journal_mode=WAL")
    watching.execute("SELECT count(*) FROM sqlite_master").fetchone()
    try:
        asyncio.run(main(start_method="fork", restart=Backoff.constant(0.0, max_tries=1)))
    except Exception as error:
        print(error)
    asyncio.run(main())
    watching.close()
"""


def test_a_database_that_is_open_in_the_program_is_not_forked_along(tmp_path: Path) -> None:
    """SQLite would take the forked child's locks for its own, and its rows away with the program's last connection."""
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    command = [sys.executable, str(script), str(tmp_path / "rows.db")]
    done = subprocess.run(command, capture_output=True, text=True, env=SAME_PATH, timeout=60, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert "is open in this process" in done.stdout
    assert list(range(30)) == numbers_in(tmp_path / "rows.db")


async def test_what_clients_send_is_written_before_the_end() -> None:
    target = Target()

    def take(p: Process, text: str) -> str:
        return text

    entry = WebSocketCxn(forward_from_client=take)
    stages = [NetworkRunner([entry], sink=target, sink_delivery=NEVER)]
    async with asyncio.timeout(60), Dataflow("texts", stages, mode="inline") as flow:
        host, port = flow.addresses["0.0"]
        async with connect(f"ws://{host}:{port}", auth_key=None) as client:
            for text in ("a", "b"):
                await client.write_text(text)
            await eventually(lambda: flow.stats().stages[0].handled_count == 2)
    assert ["a", "b"] == target.got


async def test_a_flow_whose_sink_cannot_be_opened_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "rows.db").mkdir()
    stages = [Runner(count_to_100), Runner(row, sink=SqlTable("rows", database=tmp_path / "rows.db"))]
    with pytest.raises(StageFailedError, match=r"rows\.db"):
        async with Dataflow("rows", stages, mode="inline", restart=Backoff.constant(0.0, max_tries=1)):
            pass


def test_a_drawing_says_where_rows_go(tmp_path: Path) -> None:
    flow = Dataflow("rows", [Runner(count_to_100), Runner(row, sink=JsonLines(tmp_path / "{run}.jsonl", name="files"))])
    assert "1 row: 1 worker, into files" in flow.describe()
    assert [None, "files"] == [stage.sink for stage in flow.graph().stages]


def test_a_sink_that_cannot_work_is_refused_where_it_is_declared() -> None:
    with pytest.raises(InvalidArgumentError, match="database=FILE"):
        Runner(row, sink=SqlTable("rows"))
    with pytest.raises(InvalidArgumentError, match="a sink= beside it"):
        Runner(row, sink_delivery=NEVER, edge=Edge())
    with pytest.raises(InvalidArgumentError, match="async function"):
        NetworkRunner([WebSocketCxn()], sink=object())
