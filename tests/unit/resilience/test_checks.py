"""Arguments are refused with a sentence that names them."""

import math

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.resilience._checks import (
    check_callable,
    check_count,
    check_ratio,
    check_seconds,
    exception_classes,
    name_of,
)


def test_seconds() -> None:
    assert check_seconds("pause", 2) == 2.0
    assert check_seconds("pause", 0, zero=True) == 0.0
    for value in (0, -1.0, math.inf, math.nan, True, "1", None):
        with pytest.raises(InvalidArgumentError, match=r"pause=.* expected finite seconds > 0"):
            check_seconds("pause", value)
    with pytest.raises(InvalidArgumentError, match=">= 0"):
        check_seconds("pause", -1, zero=True)


def test_count() -> None:
    assert check_count("size", 1) == 1
    for value in (0, 1.0, True, "1"):
        with pytest.raises(InvalidArgumentError, match="an int >= 1"):
            check_count("size", value)
    with pytest.raises(InvalidArgumentError, match="an int from 1 to 3"):
        check_count("size", 4, at_most=3)


def test_ratio_and_callable() -> None:
    assert check_ratio("share", 0.5) == 0.5
    for value in (0, 1, 5, "0.5"):
        with pytest.raises(InvalidArgumentError, match="share between 0 and 1"):
            check_ratio("share", value)
    assert check_callable("hook", None) is None
    assert check_callable("hook", print) is print


def test_exception_classes() -> None:
    assert exception_classes("on", OSError) == (OSError,)
    assert exception_classes("on", iter([OSError, KeyError])) == (OSError, KeyError)
    for value in (int, [OSError, int], 5, [OSError()]):
        with pytest.raises(InvalidArgumentError, match="exception classes"):
            exception_classes("on", value)


def test_names() -> None:
    assert name_of(test_names) == "test_names"
    assert name_of(5) == "5"
