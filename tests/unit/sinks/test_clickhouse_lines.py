"""Rows as JSON lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest

from mainspring.base import decode_json
from mainspring.errors import InvalidItemError, TableSchemaError
from mainspring.sinks._clickhouse_lines import RowLines


class Side(Enum):
    BUY = "buy"
    ONE = 1


@dataclass
class Trade:
    symbol: str
    price: float


class Pair(NamedTuple):
    a: int
    b: str


@pytest.mark.parametrize("item", [Trade("A", 1.5), {"symbol": "A", "price": 1.5}])
def test_rows_are_objects_with_a_tail(item: object) -> None:
    assert b'{"symbol":"A","price":1.5,"_write":7}' == RowLines("t").line(item, b',"_write":7}')


def test_named_tuples_are_rows() -> None:
    assert b'{"a":1,"b":"x"}' == RowLines("t").line(Pair(1, "x"))


def test_columns_get_the_types_of_their_first_values() -> None:
    lines = RowLines("t")
    lines.line({"flag": True, "n": 1, "x": None, "side": Side.BUY, "one": Side.ONE})
    lines.line({"x": 1.5, "text": "", "price": Decimal("1.5"), "at": datetime(2024, 1, 1, tzinfo=UTC)})
    lines.line({"day": date(2024, 1, 1), "tags": ["a"], "hour": time(10), "x": "late", "none": None})
    assert {
        "flag": "Bool",
        "n": "Int64",
        "side": "String",
        "one": "Int64",
        "x": "Float64",
        "text": "String",
        "price": "Decimal(38, 10)",
        "at": "DateTime64(6, 'UTC')",
        "day": "Date32",
        "tags": "String",
        "hour": "String",
    } == lines.columns


def test_floats_that_json_does_not_know_are_written_as_text_and_none_stays_null() -> None:
    row: Mapping[str, Any] = {"a": float("nan"), "b": float("-inf"), "c": None, "d": 1.5, "e": "null"}
    lines = RowLines("t")
    found = decode_json(lines.line(dict(row)))
    assert {"c"} == lines.nulls
    assert {"a": "nan", "b": "-inf", "c": None, "d": 1.5, "e": "null"} == found


def test_bytes_are_written_as_base64() -> None:
    lines = RowLines("t")
    assert b'{"a":"eA=="}' == lines.line({"a": b"x"})
    assert {"a": "String"} == lines.columns


@pytest.mark.parametrize("item", [{"a": object()}, {}, 7])
def test_items_without_a_form_are_refused(item: object) -> None:
    with pytest.raises(InvalidItemError, match="'t'"):
        RowLines("t").line(item)


@pytest.mark.parametrize("name", ["a-b", "", 7, "x" * 64])
def test_columns_with_strange_names_are_refused(name: Any) -> None:
    with pytest.raises(TableSchemaError, match="cannot have a column"):
        RowLines("t").line({name: 1})
