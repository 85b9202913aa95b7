"""What commands return becomes a table, facts or a text; what they raise, a sentence."""

import json
from collections.abc import Callable

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.services import ConsoleAnswer, Listing
from mainspring.services._console_protocol import answer_of, answer_of_error, encode_line
from mainspring.tools import DispatchResult, DispatchStatus


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (None, ConsoleAnswer(status="done")),
        ("said", ConsoleAnswer(status="done", text="said")),
        (7, ConsoleAnswer(status="done", text="7")),
        ({"a": 1}, ConsoleAnswer(status="done", value={"a": 1})),
        (Listing([{"a": 1}], ["a"]), ConsoleAnswer(status="done", value=[{"a": 1}], columns=("a",))),
        (Listing([], ["a"], empty="none"), ConsoleAnswer(status="done", text="none", value=[], columns=("a",))),
    ],
)
def test_a_value_becomes_what_can_be_shown(value: object, answer: ConsoleAnswer) -> None:
    assert answer == answer_of(DispatchResult(DispatchStatus.DONE, "c", value))
    assert answer.is_well


@pytest.mark.parametrize("status", [one for one in DispatchStatus if one is not DispatchStatus.DONE])
def test_what_the_line_did_wrong_is_passed_on(status: DispatchStatus) -> None:
    answer = answer_of(DispatchResult(status, "c", text="why"))
    assert ConsoleAnswer(status=status.value, text="why") == answer
    assert answer.is_well == (status is DispatchStatus.HELP)


def test_errors_are_sentences_with_hints() -> None:
    error = InvalidArgumentError(argument="a", value=1, expected="two", hint="say two")
    assert ConsoleAnswer(status="failed", text=str(error), hint="say two") == answer_of_error(error)
    assert "KeyError: 'a'" == answer_of_error(KeyError("a")).text


@pytest.mark.parametrize("make", [object, lambda: {"a": object()}])
def test_what_has_no_json_form_is_said(make: Callable[[], object]) -> None:
    said = json.loads(encode_line(ConsoleAnswer(status="done", value=make())))
    assert "failed" == said["status"]
    assert "JSON" in said["text"]
