"""Sinks as the stages of a dataflow use them: bound to the stage, or called by its callback."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tests.unit.sinks.support_targets import Target

from mainspring.dataflow import Dataflow, Process, Runner
from mainspring.sinks import Csv, Delivery, JsonLines, SinkSet, SqlTable


def numbers(p: Process) -> Iterator[int]:
    yield from range(p.acknowledged, 50)


def row(p: Process, number: int) -> dict[str, int]:
    return {"n": number}


async def run(sink: object) -> None:
    flow = Dataflow("rows", [Runner(numbers), Runner(row, sink=sink)], mode="inline")
    async with asyncio.timeout(60), flow:
        await flow.wait()


def lines_of(folder: Path, pattern: str) -> list[str]:
    return [line for path in folder.glob(pattern) for line in path.read_text().splitlines()]


async def test_every_kind_of_sink_may_be_bound_to_a_stage(tmp_path: Path) -> None:
    called, result = list[dict[str, int]](), Target()

    async def function(batch: list[dict[str, int]]) -> None:
        called.extend(batch)

    table = SqlTable("rows", database=tmp_path / "rows.db")
    files = JsonLines(tmp_path / "{run}.jsonl"), Csv(tmp_path / "{run}.csv")
    for sink in (function, result, table, *files):
        await run(sink)
    connection = sqlite3.connect(tmp_path / "rows.db")
    in_table = [{"n": n} for (n,) in connection.execute("SELECT n FROM rows ORDER BY n")]
    connection.close()
    in_lines = [json.loads(line) for line in lines_of(tmp_path, "*.jsonl")]
    in_csv = [line for line in lines_of(tmp_path, "*.csv") if line != "n"]
    expected = [{"n": n} for n in range(50)]
    assert [expected] * 4 == [called, result.got, in_table, sorted(in_lines, key=lambda one: one["n"])]
    assert [str(n) for n in range(50)] == sorted(in_csv, key=int)


async def test_what_a_stage_emits_is_written_when_its_messages_are_done() -> None:
    sinks, target = SinkSet(), Target()
    sinks.add(target, types=[dict], delivery=Delivery(max_seconds=3600.0))

    async def keep(_: Process, number: int) -> None:
        await sinks.emit({"n": number})
        await sinks.flush()

    async with asyncio.timeout(60), sinks, Dataflow("rows", [Runner(numbers), Runner(keep)], mode="inline") as flow:
        await flow.wait()
        assert [{"n": n} for n in range(50)] == target.got
