"""Whatever a program made is shown as JSON, and says what it was where there is none for it."""

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.web._plain import finite, plain

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers() | st.binary(), inner),
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, True),
        (2**80, 2**80),
        (1.5, 1.5),
        (math.nan, None),
        (-math.inf, None),
        ("\udc80 é", "\\udc80 é"),
        (b"\xff", "\\xff"),
        ((1, [b"x"]), [1, ["x"]]),
        ({1: {None: math.nan}}, {"1": {"None": None}}),
        (datetime(2013, 3, 10, tzinfo=UTC), "2013-03-10T00:00:00Z"),
        (date(2013, 3, 10), "2013-03-10"),
        (timedelta(seconds=1), "PT1S"),
        (Decimal("1.10"), "1.10"),
        (frozenset({1}), [1]),
        (object(), "<object>"),
        (MappingProxyType[str, int]({}), "<mappingproxy>"),
    ],
)
def test_it_is_shown_as_json(value: object, shown: object) -> None:
    assert shown == plain(value)


@given(value=ANYTHING)
def test_nothing_is_beyond_json(value: object) -> None:
    json.dumps(plain(value), allow_nan=False).encode()


def test_a_number_that_is_none_is_null() -> None:
    assert (1.5, 2, None) == (finite(1.5), finite(2), finite(math.nan))
