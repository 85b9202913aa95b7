"""Arguments: names, validation, words, and the rules of fitting them together."""

from typing import Any

import pytest

from mainspring.errors import CommandLineError, InvalidArgumentError
from mainspring.tools._dispatch_args import DArg, bind, check_order, help_text, signature, split_words


def bound(arguments: list[DArg], line: str) -> list[Any]:
    bind(arguments, split_words(line))
    return [argument.val for argument in arguments]


@pytest.mark.parametrize("name", ["state", "*state", "run", "setup", "", "*", "a b", "1a"])
def test_names_that_cannot_be_attributes_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name="):
        DArg(name)


def test_a_star_takes_the_rest() -> None:
    assert [(True, "rest"), (False, "one")] == [(arg.is_rest, arg.attribute) for arg in (DArg("*rest"), DArg("one"))]


def test_a_word_is_converted_then_verified() -> None:
    argument = DArg("n", convert=int, verify=lambda n: n > 0, default="unconverted")
    assert (True, 5) == (argument.validate("5"), argument.val)
    assert not argument.validate("-5")
    assert not argument.validate("five")
    assert (True, "unconverted") == (argument.validate(None), argument.val)


def test_a_failing_check_is_a_no() -> None:
    assert not DArg("n", verify=lambda n: 1 / 0).validate("x")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a \t b\r\n", ["a", "b"]),
        ("'a b' \"c d\" e\\ f", ["a b", "c d", "e f"]),
        ("a #b", ["a", "#b"]),
        ("a\u00a0b", ["a\u00a0b"]),
        ("a\u00a0b 'c'", ["a\u00a0b", "c"]),
    ],
)
def test_lines_part_as_in_a_shell(line: str, words: list[str]) -> None:
    assert words == split_words(line)


@pytest.mark.parametrize("line", ["'a", 'a "b', "a\\"])
def test_open_quotes_do_not_fit(line: str) -> None:
    with pytest.raises(CommandLineError, match="Cannot split the arguments: no "):
        split_words(line)


def test_words_fill_arguments_in_their_order() -> None:
    arguments = [DArg("a"), DArg("n", convert=int, default=7), DArg("*rest", convert=len)]
    assert ["x", 7, 0] == bound(arguments, "x")
    assert ["x", 8, 0] == bound(arguments, "x 8")
    assert ["x", 8, 2] == bound(arguments, "x 8 y z")


def test_an_empty_rest_has_its_default() -> None:
    assert ["all"] == bound([DArg("*rest", default="all")], "")
    assert [[]] == bound([DArg("*rest")], "")
    assert [["a"]] == bound([DArg("*rest", default="all")], "a")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "Not enough arguments provided! Expected: a b *rest"),
        ("1", "Not enough arguments provided! Expected: a b *rest"),
        ("x 2", "Argument 1 (a) cannot be 'x': a whole number"),
        ("1 2 bad", "Argument 3 (*rest) cannot be ['bad']"),
    ],
)
def test_what_does_not_fit_says_so(line: str, said: str) -> None:
    arguments = [
        DArg("a", convert=int, errmsg="a whole number"),
        DArg("b"),
        DArg("*rest", verify=lambda rest: not rest),
    ]
    with pytest.raises(CommandLineError) as caught:
        bound(arguments, line)
    assert said == str(caught.value)


def test_too_many_words_do_not_fit() -> None:
    for arguments, expected in (([DArg("a")], "a"), ([], "none")):
        with pytest.raises(CommandLineError) as caught:
            bound(arguments, "1 2 3")
        assert f"Too many arguments provided (3)! Expected: {expected}" == str(caught.value)


def test_required_arguments_stand_first_and_a_rest_last() -> None:
    check_order([DArg("a"), DArg("b", default=1), DArg("*c")])
    with pytest.raises(CommandLineError, match="Required argument b stands after a"):
        check_order([DArg("a", default=1), DArg("b")])
    with pytest.raises(CommandLineError, match="must be the last"):
        check_order([DArg("*a"), DArg("b")])


def test_the_help_names_all() -> None:
    arguments = [DArg("a", desc="first"), DArg("b", default=10, errmsg="bad b"), DArg("*rest")]
    assert "go :: a b *rest" == signature("go", arguments)
    expected = """[go :: a b *rest] Command: go <a> [b default="10"] [*rest]
Does it.
  a
    first
  b
    Default value: 10
    Error: bad b"""
    assert expected == help_text("go", arguments, "Does it.")
    assert "[go ::] Command: go" == help_text("go", [], "")
