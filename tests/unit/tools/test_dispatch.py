"""Dispatch: finding commands, running them, and saying what was wrong, as values."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import InvalidArgumentError
from mainspring.tools import DArg, Dispatch, DispatchResult, DispatchStatus, Op


class Echo(Op):
    """Say it again."""

    def argmap(self) -> Sequence[DArg]:
        return [DArg("word"), DArg("times", convert=int, default=1)]

    async def run(self) -> Any:
        return vars(self)["word"] * vars(self)["times"]


class Fail(Op):
    async def run(self) -> Any:
        raise KeyError("mine")


class State(Op):
    async def run(self) -> Any:
        return self.state


@pytest.fixture
def commands() -> Dispatch:
    return Dispatch(
        {"help": State, "helper": Echo, "later": None, "tools": {"echo": Echo, "fail": Fail}, "x": {"state": State}}
    )


async def test_a_command_runs_and_its_result_is_a_value(commands: Dispatch, capsys: pytest.CaptureFixture[str]) -> None:
    result = await commands.run("echo", "ab 2")
    assert DispatchResult(DispatchStatus.DONE, "echo", "abab") == result
    assert "" == capsys.readouterr().out


async def test_the_exact_name_wins_over_longer_ones(commands: Dispatch) -> None:
    assert "s" == (await commands.run("help", state="s")).value
    assert "a" == (await commands.run("helpe", ["a"])).value
    assert "a b" == (await commands.run("e", ["a b"])).value


async def test_a_beginning_of_several_gives_the_choices(commands: Dispatch) -> None:
    result = await commands.run("h")
    assert (DispatchStatus.AMBIGUOUS, ("help", "helper")) == (result.status, result.choices)
    assert "Completion choices: help, helper" == result.text


@pytest.mark.parametrize("word", ["zzz", "", "Echo", "tools"])
async def test_an_unknown_word_lists_all(commands: Dispatch, word: str) -> None:
    result = await commands.run(word)
    assert DispatchStatus.UNKNOWN is result.status
    assert "All commands: echo, fail, help, helper, later, state" == result.text


async def test_a_question_mark_asks_for_help(commands: Dispatch) -> None:
    result = await commands.run("echo?")
    assert (DispatchStatus.HELP, "echo") == (result.status, result.command)
    assert '[echo :: word times] Command: echo <word> [times default="1"]\nSay it again.' in result.text
    overview = (await commands.run("?")).text
    assert "tools:\n\t- echo\n\t- fail\nx:\n\t- state\nOther:\n\t- help\n\t- helper\n\t- later" in overview


async def test_a_name_without_implementation_says_so(commands: Dispatch) -> None:
    result = await commands.run("l")
    assert DispatchStatus.UNIMPLEMENTED is result.status
    assert "Operation exists but has no implementation!" in result.text
    assert "no implementation" in commands.help("later")
    assert "later ::" == commands.signature("later")


@pytest.mark.parametrize("arguments", [None, "", "a b", "a 1 2", "'a"])
async def test_arguments_that_do_not_fit_are_told(commands: Dispatch, arguments: str | None) -> None:
    result = await commands.run("echo", arguments)
    assert DispatchStatus.INVALID is result.status
    assert result.text
    assert "echo :: word times" == commands.signature("echo")


async def test_exceptions_of_an_operation_pass(commands: Dispatch) -> None:
    with pytest.raises(KeyError, match="mine"):
        await commands.run("fail")


async def test_a_line_begins_with_its_command(commands: Dispatch) -> None:
    assert "aa" == (await commands.run_line("  echo a 2 ")).value
    assert DispatchStatus.UNKNOWN is (await commands.run_line("  ")).status
    assert 5 == (await commands.run_line("state", state=5)).value


async def test_functions_are_commands() -> None:
    commands = Dispatch()

    @commands.command(category="orders")
    async def cancel_order(number: int) -> int:
        """Cancel an order."""
        return -number

    @commands.command("list")
    def listing() -> str:
        return "all"

    assert -5 == (await commands.run("cancel", "5")).value
    assert "all" == (await commands.run("list")).value
    assert 7 == -await cancel_order(7)
    assert (("cancel-order", "list"), {"orders": ("cancel-order",)}) == (commands.commands, commands.categories)
    assert "<Dispatch 2 commands in 1 categories>" == repr(commands)


async def test_the_only_command_is_not_run_by_an_empty_line() -> None:
    assert DispatchStatus.UNKNOWN is (await Dispatch({"drop": Fail}).run_line("")).status


@pytest.mark.parametrize("operation", [5, "echo", int, Echo()])
def test_what_is_named_is_an_operation(operation: Any) -> None:
    for opcodes in ({"a": operation}, {"group": {"a": operation}}):
        with pytest.raises(InvalidArgumentError, match="opcodes"):
            Dispatch(opcodes)


@pytest.mark.parametrize("name", ["", "two words", "what?", "echo"])
def test_a_name_is_one_word_and_given_once(commands: Dispatch, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name="):
        commands.command(name)(lambda: None)
    with pytest.raises(InvalidArgumentError, match="no other command"):
        Dispatch({"a": {"echo": Echo}, "b": {"echo": Echo}})


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("abc", min_size=1, max_size=4), unique=True), st.text("abc", max_size=4))
def test_the_search_equals_its_plain_form(names: list[str], word: str) -> None:
    commands = Dispatch(dict.fromkeys(names))
    beginning = tuple(sorted(name for name in names if name.startswith(word)))
    assert ((word,) if word in names else beginning) == commands.find(word)
    assert beginning == commands.complete(f" {word}")
    assert () == commands.complete(f"x{word} ")


async def test_calls_run_beside_one_another(commands: Dispatch) -> None:
    results = await asyncio.gather(*(commands.run("echo", f"{number}") for number in range(50)))
    assert [str(number) for number in range(50)] == [result.value for result in results]
