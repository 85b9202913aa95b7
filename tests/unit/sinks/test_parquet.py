"""Parquet files by interval: types kept, row group by row group, nothing half written."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sinks.support_tables import run_of

from mainspring.errors import InvalidArgumentError, InvalidItemError
from mainspring.sinks import Parquet, SinkSet, parquet

pytestmark = pytest.mark.extras

arrow: Any = pytest.importorskip("pyarrow")  # Any: it has no types of its own
read_table: Any = pytest.importorskip("pyarrow.parquet").read_table
ParquetFile: Any = pytest.importorskip("pyarrow.parquet").ParquetFile


class Side(Enum):
    BUY = "buy"


@dataclass
class Trade:
    side: Side
    day: date
    at: datetime
    price: Decimal
    tags: list[str]
    note: str | None


async def write(sink: Parquet, *items: object) -> None:
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0), default=sink)
        try:
            for item in items:
                await session.emit(item)
            await session.finish()
        except BaseException:
            await session.discard()
            raise


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_values_come_back_with_their_types(tmp_path: Path) -> None:
    at = datetime(2013, 1, 1, 5, tzinfo=UTC)
    trades = [Trade(Side.BUY, date(2013, 1, 1), at, Decimal("1.50"), ["a"], None)]
    await write(Parquet(tmp_path / "{start:%H}.parquet"), *trades, trades[0])
    expected = {"side": "buy", "day": date(2013, 1, 1), "at": at, "price": Decimal("1.50"), "tags": ["a"], "note": None}
    assert [expected, expected] == read_table(tmp_path / "05.parquet").to_pylist()


async def test_an_item_that_is_changed_later_is_written_as_it_was(tmp_path: Path) -> None:
    row: dict[str, Any] = {"n": 1, "tags": ["a"]}
    async with SinkSet() as sinks:
        session = sinks.session(run_of(0), default=Parquet(tmp_path / "x.parquet"))
        await session.emit(row)
        row["n"] = 2
        row["tags"].append("b")
        await session.finish()
    assert [{"n": 1, "tags": ["a"]}] == read_table(tmp_path / "x.parquet").to_pylist()


async def test_memory_holds_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet._RowGroups, "buffer_bytes", 100_000)
    await write(Parquet(tmp_path / "x.parquet"), *({"text": "x" * 1000} for _ in range(1000)))
    with ParquetFile(tmp_path / "x.parquet") as file:
        assert file.num_row_groups > 8
        assert 1000 == file.metadata.num_rows


async def test_a_schema_counts_for_every_file_also_an_empty_one(tmp_path: Path) -> None:
    schema = arrow.schema([("n", arrow.int16()), ("text", arrow.string())])
    sink = Parquet(tmp_path / "x.parquet", schema=schema, compression="none")
    await write(sink, {"n": 1})
    assert [{"n": 1, "text": None}] == read_table(tmp_path / "x.parquet").to_pylist()
    await write(sink)
    assert schema == read_table(tmp_path / "x.parquet").schema


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([{"n": 1}, {"n": "x"}], "column 'n'"),
        ([{"n": object()}], "column 'n'"),
        ([{"n": 1, "other": 2}], "no column 'other'"),
        ([7], "no columns"),
    ],
)
async def test_what_does_not_fit_is_refused_and_no_file_appears(
    tmp_path: Path, items: list[object], reason: str
) -> None:
    sink = Parquet(tmp_path / "x.parquet", schema=arrow.schema([("n", arrow.int64())]))
    with pytest.raises(InvalidItemError, match=reason):
        await write(sink, *items)
    assert [] == files(tmp_path)


async def test_later_row_groups_have_the_columns_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet._RowGroups, "buffer_bytes", 1)
    sink = Parquet(tmp_path / "x.parquet")
    await write(sink, {"n": 1, "m": 2}, {"n": 3})
    assert [{"n": 1, "m": 2}, {"n": 3, "m": None}] == read_table(tmp_path / "x.parquet").to_pylist()
    with pytest.raises(InvalidItemError, match="no column 'k'"):
        await write(sink, {"n": 1}, {"k": 3})


@pytest.mark.parametrize("schema", [5, "a", {"a": "int64"}])
def test_a_schema_is_one_of_arrow(schema: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="schema="):
        Parquet("x", schema=schema)


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="compression"):
        Parquet("x", compression="zip")
