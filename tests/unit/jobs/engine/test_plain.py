"""Tables as the store keeps them: what JSON cannot say is refused, with its place."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from mainspring.errors import EncodeError, InvalidArgumentError
from mainspring.jobs.engine._plain import encoded_table, odd_number


@dataclass
class Limits:
    low: float
    high: float | None = None


def test_a_table_is_json() -> None:
    table = {"a": 1, "b": [None, "null", 1.5], "c": Limits(0.5)}
    data = b'{"a":1,"b":[null,"null",1.5],"c":{"low":0.5,"high":null}}'
    assert data == encoded_table("config", table)
    assert odd_number(table, data) is None


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"n": math.nan}, r"^config\.n=nan is not accepted"),
        ({"a": {1: (2, -math.inf)}}, r"^config\.a\.1\.1=-inf is not accepted"),
        ({"c": Limits(0.0, math.inf)}, r"^config\.c\.high=inf is not accepted: expected a number that JSON has"),
        ([1], r"^config=\[1\] is not accepted: expected a mapping"),
    ],
)
def test_what_json_has_not_is_refused_with_its_place(table: Any, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        encoded_table("config", table)


def test_what_has_no_json_form_is_an_error() -> None:
    with pytest.raises(EncodeError):
        encoded_table("config", {"a": object()})
