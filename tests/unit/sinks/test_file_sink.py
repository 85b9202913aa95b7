"""Files by interval: whole or untouched, each run's rows once, whatever is repeated, late or broken."""

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.sinks.support_tables import call_of, run_of

from mainspring.base import new_id
from mainspring.errors import ClosedError, InvalidArgumentError, InvalidItemError, SinkWriteError, StaleFenceError
from mainspring.sinks import Csv, JsonLines, SinkRun, SinkSession, SinkSet
from mainspring.sinks._file_rows import BUFFER_BYTES, FileRows
from mainspring.sinks._file_sink import FileSink
from mainspring.testing import eventually


@dataclass
class Trade:
    symbol: str
    price: float | None


class Pair(NamedTuple):
    a: int
    b: list[int]


async def write(sink: FileSink, run: SinkRun, *items: object) -> SinkSession:
    async with SinkSet() as sinks:
        session = sinks.session(run, default=sink)
        for item in items:
            await session.emit(item)
        assert await session.finish() == ()
    return session


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_each_interval_has_its_file(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{job}" / "{start:%Y-%m-%dT%H}.jsonl")
    for hour in (0, 1):
        await write(sink, run_of(hour, job_id="load/it"), {"n": hour}, Trade("A", 1.5), [1, 2])
    folder = tmp_path / "load_it"
    assert [".2013-01-01T05.jsonl.fence", ".2013-01-01T06.jsonl.fence"] == files(folder)[:2]
    assert ["2013-01-01T05.jsonl", "2013-01-01T06.jsonl"] == files(folder)[2:]
    lines = (folder / "2013-01-01T06.jsonl").read_text().splitlines()
    assert [{"n": 1}, {"symbol": "A", "price": 1.5}, [1, 2]] == [json.loads(line) for line in lines]


async def test_a_path_is_written_in_the_zone_that_was_asked_for(tmp_path: Path) -> None:
    sink = Csv(tmp_path / "{start:%Y-%m-%d-%H}_{end:%H}.csv", timezone="America/New_York")
    assert sink.path_for(run_of(0)) == tmp_path / "2013-01-01-00_01.csv"


async def test_local_hours_that_come_twice_are_told_apart_by_their_offset(tmp_path: Path) -> None:
    first, second = run_of(306 * 24), run_of(306 * 24 + 1, fence=2)  # 01:00 in New York, before and after the change
    by_hour = JsonLines(tmp_path / "{start:%d-%H}.jsonl", timezone="America/New_York")
    await write(by_hour, first, {"n": 1})
    with pytest.raises(SinkWriteError, match="holds another interval") as refused:
        await write(by_hour, second, {"n": 2})
    assert "with %z where local hours come twice" in str(refused.value.hint)
    by_offset = JsonLines(tmp_path / "offset" / "{start:%d-%H%z}.jsonl", timezone="America/New_York")
    for run in (first, second):
        await write(by_offset, run, {"n": float("nan")})
    assert ["03-01-0400.jsonl", "03-01-0500.jsonl"] == [name for name in files(tmp_path / "offset") if name[0] != "."]
    assert '{"n":null}\n' == (tmp_path / "offset" / "03-01-0500.jsonl").read_text()


async def test_a_csv_takes_whole_numbers_of_any_size(tmp_path: Path) -> None:
    await write(Csv(tmp_path / "{start:%H}.csv"), run_of(0), {"n": 2**70})
    assert f"n\n{2**70}\n" == (tmp_path / "05.csv").read_text()


async def test_an_id_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{job}" / "{start:%H}.jsonl")
    assert sink.path_for(run_of(0, job_id="../..")) == tmp_path / "_.." / "05.jsonl"
    assert sink.path_for(run_of(0, job_id="..")) == tmp_path / "_" / "05.jsonl"


async def test_a_run_that_is_cancelled_while_it_writes_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Event()
    real = FileRows._write  # pyright: ignore[reportPrivateUsage]  # held up in the thread

    def slow(self: FileRows, chunk: Sequence[bytes]) -> None:
        begun.set()
        gate.wait(10)
        real(self, chunk)

    monkeypatch.setattr(FileRows, "_write", slow)
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0), default=JsonLines(tmp_path / "x.jsonl"))
        emitting = asyncio.create_task(session.emit({"text": "x" * BUFFER_BYTES}))
        await eventually(begun.is_set)
        emitting.cancel()
        discarding = asyncio.create_task(session.discard())
        await asyncio.sleep(0)
        assert not emitting.done()
        gate.set()
        await asyncio.gather(emitting, discarding, return_exceptions=True)
        assert emitting.cancelled()
    assert files(tmp_path) == []


async def test_a_second_run_replaces_the_file_and_an_empty_one_empties_it(tmp_path: Path) -> None:
    sink, target = JsonLines(tmp_path / "{start:%H}.jsonl"), tmp_path / "05.jsonl"
    await write(sink, run_of(0), {"n": 1}, {"n": 2})
    await write(sink, run_of(0, fence=2), {"n": 3})
    assert target.read_text() == '{"n":3}\n'
    await write(sink, run_of(0, fence=3))
    assert target.read_text() == ""


async def test_an_older_claim_changes_nothing(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{start:%H}.jsonl")
    await write(sink, run_of(0, fence=5), {"n": 5})
    with pytest.raises(StaleFenceError):
        await write(sink, run_of(0, fence=4), {"n": 4})
    assert (tmp_path / "05.jsonl").read_text() == '{"n":5}\n'


async def test_a_fence_of_before_the_ids_of_runs_counts_as_it_stands(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{start:%H}.jsonl")
    await write(sink, run_of(0, fence=5), {"n": 5})
    mark = json.loads((tmp_path / ".05.jsonl.fence").read_text())
    del mark["run"]
    (tmp_path / ".05.jsonl.fence").write_text(json.dumps(mark))
    with pytest.raises(StaleFenceError):
        await write(sink, run_of(0, fence=4, run_id=new_id()), {"n": 4})
    await write(sink, run_of(0, fence=5, run_id=new_id()), {"n": 6})
    assert (tmp_path / "05.jsonl").read_text() == '{"n":6}\n'


async def test_a_path_that_does_not_tell_intervals_apart_is_refused(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{start:%Y}.jsonl")
    await write(sink, run_of(0), {"n": 0})
    for other in (run_of(1, fence=2), run_of(0, fence=2, job_id="other")):
        with pytest.raises(SinkWriteError, match="holds another interval, or another job's rows"):
            await write(sink, other, {"n": 1})
    assert (tmp_path / "2013.jsonl").read_text() == '{"n":0}\n'


async def test_a_file_is_on_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut would show it; here, that the disk was asked for the file first and for its new name after."""
    calls: list[int | str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(file: int) -> None:
        calls.append(os.fstat(file).st_ino)
        sync(file)

    def noted_replace(path: Path, target: Path) -> Path:
        calls.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    await write(JsonLines(tmp_path / "{start:%H}.jsonl"), run_of(0), {"n": 1})
    file, fence, folder = ((tmp_path / name).stat().st_ino for name in ("05.jsonl", ".05.jsonl.fence", "."))
    assert calls.index(file) < calls.index(fence) < calls.index("replace") < calls.index(folder)


async def test_a_run_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{start:%H}.jsonl")
    async with SinkSet() as sinks:
        for size in (1, 3 * BUFFER_BYTES):
            session = sinks.session(run_of(0), default=sink)
            await session.emit({"text": "x" * size})
            await session.discard()
            with pytest.raises(ClosedError):
                await session.emit({"n": 1})
    assert files(tmp_path) == []


async def test_parts_of_dead_claims_are_swept(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{start:%H}.jsonl")
    for name in (".05.jsonl.run-1-1.part", ".05.jsonl.run-1-9.part", ".05.jsonl.odd.part", ".06.jsonl.run-1.part"):
        (tmp_path / name).write_text("half")
    await write(sink, run_of(0, fence=2), {"n": 1})
    assert [".05.jsonl.fence", ".05.jsonl.odd.part", ".05.jsonl.run-1-9.part"] == files(tmp_path)[:3]
    assert [".06.jsonl.run-1.part", "05.jsonl"] == files(tmp_path)[3:]


async def test_a_fence_that_was_torn_counts_as_none(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "{start:%H}.jsonl")
    (tmp_path / ".05.jsonl.fence").write_text('{"job":"lo')
    await write(sink, run_of(0), {"n": 1})
    await write(sink, run_of(0), {"n": 2})
    assert (tmp_path / "05.jsonl").read_text() == '{"n":2}\n'


async def test_a_run_without_interval_needs_a_path_without_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidItemError, match="needs a run with a data interval"):
        await write(JsonLines(tmp_path / "{end:%H}.jsonl"), call_of(), {"n": 1})
    await write(JsonLines(tmp_path / "{run}.jsonl"), call_of(), {"n": 1})
    assert files(tmp_path) == ["call.jsonl"]


async def test_many_rows_of_several_tasks_arrive_whole(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "all.jsonl")
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0), default=sink)

        async def emit(task: int) -> None:
            for n in range(8):
                await session.emit({"task": task, "n": n, "text": "x" * (BUFFER_BYTES // 3)})

        await asyncio.gather(*(emit(task) for task in range(3)))
        await session.finish()
        assert session.counts == {str(tmp_path / "all.jsonl"): 24}
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [list(range(8))] * 3 == [[row["n"] for row in rows if row["task"] == task] for task in range(3)]


async def test_csv_has_a_header_and_a_cell_per_column(tmp_path: Path) -> None:
    sink, target = Csv(tmp_path / "{start:%H}.csv"), tmp_path / "05.csv"
    await write(sink, run_of(0), Trade('A "quoted", name', 1.5), {"price": None, "symbol": "B\nC"}, {"symbol": "D"})
    assert target.read_text() == 'symbol,price\n"A ""quoted"", name",1.5\n"B\nC",\nD,\n'
    await write(sink, run_of(0, fence=2), Pair(1, [2]))
    assert target.read_text() == "a,b\n1,[2]\n"
    await write(sink, run_of(0, fence=3))
    assert target.read_text() == ""
    await write(Csv(tmp_path / "{start:%H}.csv", columns=("a", "b")), run_of(0, fence=4))
    assert target.read_text() == "a,b\n"


async def test_a_row_that_the_header_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidItemError, match="no column 'b'"):
        await write(Csv(tmp_path / "x.csv"), run_of(0), {"a": 1}, {"a": 1, "b": 2})
    with pytest.raises(InvalidItemError, match="have no columns"):
        await write(Csv(tmp_path / "x.csv"), run_of(0), 7)
    with pytest.raises(InvalidItemError):
        await write(JsonLines(tmp_path / "x.csv"), run_of(0), object())


async def test_a_chunk_that_the_disk_refused_fails_the_run_whatever_is_caught(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0), default=JsonLines(tmp_path / "file" / "x.jsonl"))
        with pytest.raises(OSError, match=r"exists|directory"):
            await session.emit({"text": "x" * BUFFER_BYTES})
        with pytest.raises(OSError, match=r"exists|directory"):
            await session.finish()
        await session.discard()


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "{day}.csv"},
        {"path": ""},
        {"path": "{start"},
        {"path": "{0}.csv"},
        {"path": "x.csv", "timezone": "Mars/North"},
        {"path": "x.csv", "columns": "abc"},
        {"path": None},
        {"path": 5},
        {"path": "x.csv", "timezone": None},
    ],
)
def test_arguments_are_checked_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Csv(**arguments)


def test_a_file_sink_says_what_it_is() -> None:
    assert repr(JsonLines("a.jsonl", name="all")) == "<JsonLines 'a.jsonl'>"
    assert JsonLines("a.jsonl", name="all").label == "all"
    with pytest.raises(NotImplementedError):
        FileSink("x").form()
