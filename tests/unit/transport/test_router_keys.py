"""Every row of a key is found, and nothing else is in the way."""

from typing import Any

import pytest

from mainspring.errors import DecodeError
from mainspring.transport import row_keys
from mainspring.transport._router_keys import in_order


def test_rows_of_a_key_are_found_and_others_passed_over() -> None:
    rows: list[Any] = [{"sym": "A"}, {"sym": None}, {"other": 1}, {"sym": []}, "A", 7, {"sym": "A"}, {"sym": 7}]
    assert {"A": [0, 6], None: [1], 7: [7]} == row_keys("sym")(rows)


@pytest.mark.parametrize("message", [{"sym": "A"}, "sym", None, 7])
def test_what_is_no_list_cannot_be_routed(message: Any) -> None:
    with pytest.raises(DecodeError, match="list of rows"):
        row_keys("sym")(message)


def test_elements_come_in_the_order_of_the_message() -> None:
    assert [(0, "B"), (1, "A"), (2, "B"), (3, "A")] == in_order({"A": [1, 3], "B": (0, 2)})
    assert [(0, "B"), (1, "A")] == in_order({"A": 1, "B": 0})
