"""Operations: classes with attributes, functions with parameters."""

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Optional

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.tools import DArg, Op
from mainspring.tools._dispatch_args import help_text
from mainspring.tools._dispatch_ops import documentation, function_op


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


@dataclass
class Buy(Op):
    """Buy something."""

    def argmap(self) -> Sequence[DArg]:
        return [DArg("symbol"), DArg("quantity", convert=int, default=1)]

    async def run(self) -> Any:
        return self.state, vars(self)["symbol"], vars(self)["quantity"]


async def test_setup_makes_attributes() -> None:
    op = Buy("state", "'A B' 5")
    assert op.setup()
    assert ("state", "A B", 5) == await op.run()


async def test_words_may_be_parted_already() -> None:
    op = Buy(None, None, ["A B"])
    assert op.setup()
    assert (None, "A B", 1) == await op.run()


def test_a_refusal_says_why_and_stays_with_its_instance() -> None:
    op = Buy(None, "'A")
    assert not op.setup()
    assert "Cannot split the arguments: no closing quotation" == op.complaint
    assert "" == Buy.complaint


async def test_the_base_takes_any_words_and_does_nothing() -> None:
    op = Op(None, "a b")
    assert op.setup()
    assert ["a", "b"] == vars(op)["margs"]
    with pytest.raises(NotImplementedError):
        await op.run()


def test_only_what_a_person_wrote_is_documentation() -> None:
    @dataclass
    class Silent(Op):
        pass

    class Inherits(Buy):
        pass

    assert ["Buy something.", "", ""] == [documentation(op) for op in (Buy, Silent, Inherits)]


async def call(function: Any, line: str, state: object = None) -> Any:
    op = function_op(function)(state, line)
    assert op.setup(), op.complaint
    return await op.run()


async def test_parameters_become_arguments() -> None:
    async def order(state: str, symbol: str, side: Side, price: Decimal, count: int = 1, *notes: str) -> object:
        return state, symbol, side, price, count, notes

    assert ("s", "A", Side.BUY, Decimal("1.50"), 1, ()) == await call(order, "A buy 1.50", "s")
    assert ("s", "A", Side.SELL, Decimal(2), 3, ("x", "y z")) == await call(order, "A sell 2 3 x 'y z'", "s")


async def test_words_of_many_types() -> None:
    def sync(
        day: dt.date, path: Path, flag: bool, mode: Literal["a", "b"], ratio: float, maybe: int | None = None
    ) -> object:
        return day, path, flag, mode, ratio, maybe

    expected = (dt.date(2024, 1, 2), Path("/x"), True, "b", 0.5, None)
    assert expected == await call(sync, "2024-01-02 /x true b 0.5")
    assert 'default="nothing"' in help_text("sync", function_op(sync)().argmap(), "")
    assert (*expected[:-1], 4) == await call(sync, "2024-01-02 /x true b 0.5 4")


async def test_a_rest_is_converted_word_by_word() -> None:
    def total(*numbers: int) -> int:
        return sum(numbers)

    assert 6 == await call(total, "1 2 3")
    op = function_op(total)(None, "1 x")
    assert not op.setup()
    assert "Argument 1 (*numbers) cannot be ['1', 'x']: expected int" == op.complaint


async def test_parameters_without_hints_are_text() -> None:
    program = "def echo(word, other): return word, other"
    names: dict[str, Any] = {}
    exec(program, names)
    assert ("1", "2") == await call(names["echo"], "1 2")


def test_the_docstring_is_the_help() -> None:
    def buy(symbol: str, side: Side, *rest: str) -> None:
        """Buy something.

        Args:
            symbol: what to buy.
            side (Side): the side.
            *rest: more.

        Whatever follows stays.
        """

    op = function_op(buy)
    assert "Buy something.\n\nWhatever follows stays." == documentation(op)
    assert ["what to buy.", "the side.", "more."] == [argument.desc for argument in op().argmap()]
    assert [None, "expected one of buy, sell", None] == [argument.errmsg for argument in op().argmap()]
    assert "buy" == op.__name__


async def test_parameters_without_names_of_their_own_are_filled_too() -> None:
    def swap(first: int, second: str = "x", /, third: int = 0) -> object:
        return second, first, third

    assert ("x", 1, 0) == await call(swap, "1")
    assert ("y", 1, 2) == await call(swap, "1 y 2")


def test_one_of_several_types_is_named_as_a_person_would() -> None:
    def find(side: Side | None = None, limit: int | float = 1, word: Optional[Side] = None) -> None: ...  # noqa: UP045

    sides = "expected one of buy, sell"
    assert [sides, "expected int or float", sides] == [one.errmsg for one in function_op(find)().argmap()]


def test_types_that_no_word_becomes_are_refused_when_they_are_registered() -> None:
    for hint in (list[int], dict, tuple[int, int], set[str], list[int] | None, DArg):

        def function(value: Any) -> None: ...

        function.__annotations__["value"] = hint
        with pytest.raises(InvalidArgumentError, match="function="):
            function_op(function)


def test_what_words_cannot_fill_is_refused() -> None:
    def keyword(*, only: int) -> None: ...

    def anything(**more: int) -> None: ...

    def strange(thing: object, other: type) -> None: ...

    for function in (keyword, anything, strange):
        with pytest.raises(InvalidArgumentError, match="function="):
            function_op(function)
