"""expand_braces: alternatives, ranges, what stays as it is, and the limit."""

from typing import Any  # Any: what may be no argument

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.tools import expand_braces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("plain", ["plain"]),
        ("a{b,c}d", ["abd", "acd"]),
        ("{a,b}{1,2}", ["a1", "a2", "b1", "b2"]),
        ("{1..3,X,9..7}", ["1", "2", "3", "X", "9", "8", "7"]),
        ("{-1..1}", ["-1", "0", "1"]),
        ("{08..10}", ["8", "9", "10"]),
        ("{5..5}", ["5"]),
        ("{ a, b}", [" a", " b"]),
        ("{}", [""]),
        ("{a,}", ["a", ""]),
        ("{a", ["{a"]),
        ("a}b{", ["a}b{"]),
        ("{a,{b,c}}", ["{a,b}", "{a,c}"]),
    ],
)
def test_groups_are_expanded(text: str, expected: list[str]) -> None:
    assert expected == expand_braces(text)


@pytest.mark.parametrize("text", ["{a..c}", "{1..3..2}", "{..}", "{1..}", "{1.5..2}"])
def test_ranges_are_of_whole_numbers(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="a range of whole numbers"):
        expand_braces(text)


@pytest.mark.parametrize(
    "text",
    [
        "{1..999999999999}",
        "{-9..99999999999999999999}",
        "{99999999999999999999999..1}",
        "{1..100}{1..100}{1..100}",
        "{1..6,7..12}",
    ],
)
def test_what_would_be_too_many_is_refused_before_it_is_made(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="at most 10 texts"):
        expand_braces(text, limit=10)


@pytest.mark.parametrize(("text", "limit"), [(5, 10), (None, 10), ("{a,b}", "x"), ("a", -1)])
def test_other_arguments_are_refused(text: Any, limit: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        expand_braces(text, limit=limit)


def test_the_limit_itself_is_allowed() -> None:
    assert 100 == len(expand_braces("{1..10}{1..10}", limit=100))
