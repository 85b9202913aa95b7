"""Prices: rounding to multiples of an increment, exactly, and writing numbers for people to read.

All arithmetic is decimal and exact: one context with room for every float, whatever the caller's context says.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from enum import Enum
from functools import lru_cache
from typing import Final, TypeAlias, overload

from mainspring.errors import InvalidArgumentError

Number: TypeAlias = int | float | str | Decimal
"""What a price may be: floats count as they are printed, text as `"1.25"`."""

# The largest float over the smallest has 632 digits; plain text may ask for some more.
_EXACT: Final = Context(
    prec=2000, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[InvalidOperation, DivisionByZero, Overflow]
)
_ONE: Final = Decimal(1)
_TWO: Final = Decimal(2)
# bound once: looking them up took a tenth of a rounding
_add, _quantize, _remainder, _subtract = _EXACT.add, _EXACT.quantize, _EXACT.remainder, _EXACT.subtract
_LEAST_PLACES: Final = 2
_MOST_PLACES: Final = 1000
_MOST_STEPS: Final = 256
_steps: Final[dict[float, Decimal]] = {}  # of floats only: Decimal(0.1) is an equal key, and another step


class Round(Enum):
    """Which multiple of the increment to take when the price is none."""

    UP = 1
    """The next one towards plus infinity."""
    DOWN = 2
    """The next one towards minus infinity."""
    NEAR = 3
    """The nearest one; of two at the same distance the even multiple."""


_UP, _DOWN = Round.UP, Round.DOWN  # bound once: Python 3.11 takes 0.12 us to find a member


@overload
def round_near(increment: Number, price: Number, direction: bool, decimals: int = ...) -> float: ...
@overload
def round_near(increment: Number, price: Number, direction: Round = ..., decimals: int = ...) -> Decimal: ...
@overload
def round_near(increment: Number, price: Number, direction: Round | bool, decimals: int = ...) -> Decimal | float: ...
def round_near(
    increment: Number, price: Number, direction: Round | bool = Round.NEAR, decimals: int = 2
) -> Decimal | float:
    """Return the multiple of `increment` next to `price`.

    A price that is a multiple is returned as it is, with its own number of places. Any other result is rounded
    to `decimals` places, half to even, so choose `decimals` no coarser than the increment. A result of zero has
    no sign. A negative increment exchanges UP and DOWN. NaN stays NaN.

    Args:
        increment: the distance between multiples, not 0.
        price: what to round.
        direction: a `Round`; or True for up and False for down, which give a float.
        decimals: places of the result.

    Raises:
        InvalidArgumentError: the increment or price is no finite number, the increment is 0, or their ratio has
            more than 2000 digits.
        TypeError: the direction is neither a `Round` nor a bool.

    Example:
        >>> round_near(0.05, 1.23, Round.UP)
        Decimal('1.25')
        >>> round_near(0.07, 0.24, True)
        0.28
    """
    if type(direction) is not Round:
        return float(round_near(increment, price, _of_bool(direction), decimals))
    try:
        step = _steps[increment] if type(increment) is float else _new_step(increment)
    except KeyError:
        step = _new_step(increment)
    value = Decimal(repr(price)) if type(price) is float else _decimal("price", price)
    try:
        rest = _remainder(value, step)
        if not rest or value.is_nan():
            return value
        multiple = _subtract(value, rest)  # the one next to it, towards zero
        upward = rest.is_signed() is step.is_signed()  # the quotient is positive, and was cut downwards
        if direction is _UP:
            multiple = _add(multiple, step) if upward else multiple
        elif direction is _DOWN:
            multiple = multiple if upward else _subtract(multiple, step)
        elif _is_past_half(value, rest, step):
            multiple = _add(multiple, step) if upward else _subtract(multiple, step)
        result = _quantize(multiple, _unit(decimals))
    except (InvalidOperation, ZeroDivisionError):
        raise InvalidArgumentError(
            argument="increment, price", value=(increment, price), expected="finite numbers of a ratio below 1e2000"
        ) from None
    return result or result.copy_abs()


def _of_bool(direction: object) -> Round:
    if type(direction) is not bool:
        raise TypeError(f"direction must be a Round or a bool, not {direction!r}")
    return _UP if direction else _DOWN


def _is_past_half(value: Decimal, rest: Decimal, step: Decimal) -> bool:
    """Tell whether the rest is more than half a step; or just half, and the steps so far an odd number."""
    twice, whole = _add(rest, rest).copy_abs(), step.copy_abs()
    return twice > whole or (twice == whole and bool(_remainder(_EXACT.divide_int(value, step), _TWO)))


def _new_step(increment: Number) -> Decimal:
    """Read an increment, and keep floats: a program has few, and reading one takes a third of a rounding."""
    step = _decimal("increment", increment)
    if not step.is_finite() or not step:
        raise InvalidArgumentError(argument="increment", value=increment, expected="a finite number other than 0")
    if type(increment) is float:
        if len(_steps) >= _MOST_STEPS:
            _steps.clear()
        _steps[increment] = step
    return step


@lru_cache(maxsize=64)
def _unit(decimals: int) -> Decimal:
    if type(decimals) is not int or abs(decimals) > _MOST_PLACES:
        raise InvalidArgumentError(argument="decimals", value=decimals, expected=f"an int up to {_MOST_PLACES}")
    return _ONE.scaleb(-decimals, _EXACT)


def _decimal(argument: str, value: Number) -> Decimal:
    if type(value) is Decimal:
        return value
    try:
        if type(value) is int:
            return Decimal(value)
        return Decimal(str(value))
    except InvalidOperation:
        raise InvalidArgumentError(argument=argument, value=value, expected="a number") from None


def format_price(price: Number, decimals: int = 4) -> str:
    """Return a number with commas between thousands, at least 2 and at most `decimals` places.

    Rounds half to even at `decimals` places, then strips zeros down to 2 places. Never scientific; a zero has
    no sign; `NaN`, `inf` and `-inf` are written as such.

    Raises:
        InvalidArgumentError: `price` is no number, or `decimals` is out of range.

    Example:
        >>> format_price(3.66421), format_price(3.3), format_price(1234567)
        ('3.6642', '3.30', '1,234,567.00')
    """
    value = _decimal("price", price)
    if not value.is_finite():
        return "NaN" if value.is_nan() else str(float(value))
    unit = _unit(decimals)
    if decimals < 0:
        raise InvalidArgumentError(argument="decimals", value=decimals, expected="an int >= 0")
    try:
        value = _EXACT.quantize(value, unit)
    except InvalidOperation:
        raise InvalidArgumentError(argument="price", value=price, expected="a number below 1e1000") from None
    whole, _, places = f"{value or value.copy_abs():,f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(_LEAST_PLACES, '0')}"


def format_price_padded(price: Number | None, padding: int = 10, decimals: int = 4) -> str:
    """Return `format_price` in a column of at least `padding` places, aligned right; None and 0 are blanks.

    Raises:
        InvalidArgumentError: as `format_price`.

    Example:
        >>> format_price_padded(3.333333333333, 10)
        '    3.3333'
    """
    if type(padding) is not int:
        raise InvalidArgumentError(argument="padding", value=padding, expected="an int")
    text = format_price(price, decimals) if price is not None and price != 0 else ""
    return text.rjust(max(padding, 1))
