"""Rounding to multiples of an increment and writing prices, against fractions and the documented examples."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest

from mainspring.base import use_random
from mainspring.errors import InvalidArgumentError
from mainspring.tools import Round, _numeric, format_price, format_price_padded, round_near

Count = Callable[[int, int], int]

# increment, price, UP, DOWN, NEAR
TABLE = """
.05 .24 .25 .20 .25 | .07 .24 .28 .21 .21 | .05 .01 .05 .00 .00 | .07 .01 .07 .00 .00 | .05 -.01 0.00 -.05 0.00
.07 -.01 0.00 -.07 0.00 | .05 .025 .05 .00 .00 | .07 .035 .07 .00 .00 | .05 .075 .10 .05 .10
.25 1.375 1.50 1.25 1.50 | .05 -.025 0.00 -.05 0.00 | 1 .5 1.00 0.00 0.00 | .05 -.075 -.05 -.10 -.10
1 1.5 2.00 1.00 2.00 | .05 -.24 -.20 -.25 -.25 | 1 2.5 3.00 2.00 2.00 | .10 .05 .10 .00 .00 | 1 -.5 0.00 -1.00 0.00
.10 .15 .20 .10 .20 | 1 700.23 701.00 700.00 700.00 | .10 -.15 -.10 -.20 -.20 | 5 12.5 15.00 10.00 10.00
100 1234.56 1300.00 1200.00 1200.00 | 5 7.5 10.00 5.00 10.00 | .025 1.026 1.05 1.02 1.02 | .3 1.0 1.20 .90 .90
-.05 .24 .20 .25 .25 | .05 10000000000.03 10000000000.05 10000000000.00 10000000000.05 | .001 1.23456 1.24 1.23 1.24
"""
CASES = [case.split() for line in TABLE.split("\n") for case in line.split("|") if case.strip()]


@pytest.mark.parametrize(("increment", "price", "up", "down", "near"), CASES)
def test_documented_roundings(increment: str, price: str, up: str, down: str, near: str) -> None:
    for direction, expected in ((Round.UP, up), (Round.DOWN, down), (Round.NEAR, near)):
        for kind in (float, str, Decimal):
            found = round_near(kind(increment), kind(price), direction)
            assert (str(Decimal(expected)), Decimal) == (str(found), type(found))


def test_decimals_are_places_of_the_result() -> None:
    assert ["1.050", "1.025", "1"] == [
        str(round_near(0.025, 1.026, Round.UP, 3)),
        str(round_near(0.025, 1.026, Round.DOWN, 3)),
        str(round_near(0.05, 1.026, Round.NEAR, 0)),
    ]
    assert Decimal("1.2E+2") == round_near(7, 123, Round.DOWN, -1)


@pytest.mark.parametrize("price", ["0.1", "3", "0.250000", "-0.15", "0", "1E+2"])
def test_a_multiple_is_returned_unchanged(price: str) -> None:
    for direction in Round:
        assert price == str(round_near(0.05, Decimal(price), direction))


def test_a_bool_gives_a_float() -> None:
    values = [round_near(0.07, price, up) for price in (0.24, 0.01, -0.01) for up in (True, False)]
    assert [0.28, 0.21, 0.07, 0.0, 0.0, -0.07] == values
    assert {float} == {type(value) for value in values}
    assert 1.0 == math.copysign(1.0, round_near(0.07, -0.01, True))


@pytest.mark.parametrize("direction", [None, 1, 0, "up", 2.0])
def test_any_other_direction_is_a_type_error(direction: Any) -> None:
    with pytest.raises(TypeError, match="must be a Round or a bool"):
        round_near(0.05, 1.23, direction)


def test_nan_stays_nan() -> None:
    assert math.isnan(round_near(0.05, math.nan, True))
    assert round_near(0.05, math.nan).is_nan()


@pytest.mark.parametrize(
    ("increment", "price"),
    [(0, 1), (0.0, 1), ("0", 1), (math.inf, 1), (Decimal("inf"), 1), (0.05, math.inf), (0.05, -math.inf), ("x", 1),
     (0.05, "abc"), (0.05, None), (0.05, True), (math.nan, 1), (Decimal("1E-3000"), 7), ("1E-999990", "1E+999990")],
)  # fmt: skip
def test_what_is_no_number_is_refused(increment: Any, price: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        round_near(increment, price, Round.UP)


@pytest.mark.parametrize("decimals", [None, 1.5, 5000])
def test_places_must_be_a_number_in_range(decimals: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="decimals"):
        round_near(0.05, 1.23, Round.UP, decimals)


def test_more_increments_than_are_remembered_count_alike() -> None:
    for _ in range(2):
        for number in range(1, 400):
            assert Decimal(number) == round_near(number, number - 0.5, Round.UP)


@pytest.mark.parametrize("increment", ["NaN", "sNaN", "Infinity", "-Infinity", "0.00"])
def test_an_increment_that_has_no_multiples_is_refused(increment: str) -> None:
    with pytest.raises(InvalidArgumentError, match="increment"):
        round_near(Decimal(increment), 1.5, Round.UP)


def test_the_context_of_the_caller_plays_no_part() -> None:
    with localcontext() as context:
        context.prec = 3
        assert Decimal("123456789.15") == round_near(0.05, 123456789.13, Round.UP)
        assert "123,456,789.1234" == format_price(123456789.12345)


def test_far_ends_of_floats_are_exact() -> None:
    assert Fraction(round_near(5e-324, 1.7976931348623157e308)) == Fraction("1.7976931348623157e308")
    assert 10**30 + 2 == int(round_near(3, 10**30, Round.UP))


ROUNDINGS: dict[Round, Callable[[Fraction], int]] = {
    Round.UP: math.ceil,
    Round.DOWN: math.floor,
    Round.NEAR: round,
}


def exact(step: Fraction, price: Fraction, direction: Round, decimals: int) -> Fraction:
    """The rule in fractions; `round` of a Fraction is half to even."""
    ratio = price / step
    whole = ROUNDINGS[direction](ratio)
    return Fraction(round(whole * step * 10**decimals), 10**decimals)


def test_rounding_equals_fractions(mainspring_count: Count) -> None:
    with use_random("numeric") as random:
        for _ in range(mainspring_count(20_000, 3_000_000)):
            places = random.randint(0, 5)
            step = random.randint(1, 10 ** random.randint(1, 4)) * random.choice((1, 1, -1))
            # every third price lies half-way between two multiples
            half = step * (2 * random.randint(-999, 999) + 1) * 5
            number = half if random.random() < 0.33 else random.randint(-(10 ** random.randint(1, 12)), 10**9)
            increment, price = Decimal(step).scaleb(-places), Decimal(number).scaleb(-places - 1)
            direction, decimals = random.choice((Round.UP, Round.DOWN, Round.NEAR)), random.randint(0, 6)
            found = round_near(increment, price, direction, decimals)
            if Fraction(price) % Fraction(increment) == 0:
                assert str(price) == str(found)
                continue
            assert exact(Fraction(increment), Fraction(price), direction, decimals) == Fraction(found)
            assert -decimals == found.as_tuple().exponent
            assert found or not found.is_signed()


def test_floats_are_rounded_as_they_are_printed(mainspring_count: Count) -> None:
    with use_random("floats") as random:
        for _ in range(mainspring_count(5_000, 500_000)):
            increment = random.choice((0.01, 0.05, 0.25, 0.07, 1e-3, 5.0))
            price = random.choice((random.uniform(-1e3, 1e3), round(random.uniform(-1e6, 1e6), 2), random.gauss(0, 1)))
            step, value = Fraction(str(increment)), Fraction(str(price))
            for direction in Round:
                found = Fraction(round_near(increment, price, direction, 6))
                assert found == (value if value % step == 0 else exact(step, value, direction, 6))


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (3.333333333333, "3.3333"), (1.24, "1.24"), (3.3, "3.30"), (120, "120.00"), (1.2345, "1.2345"),
        (1.23456, "1.2346"), (0.6791334, "0.6791"), (3.6642100003, "3.6642"), (800000.333, "800,000.333"),
        (800000222222.333777777777777, "800,000,222,222.3337"), (9000.2211999999, "9,000.2212"), (0.005, "0.005"),
        (0, "0.00"), (-1.24, "-1.24"), (1.995, "1.995"), (3.30001, "3.30"), (1.00004, "1.00"), (99.99996, "100.00"),
        (9999.99999, "10,000.00"), (1e-05, "0.00"), (-1e-05, "0.00"), (1e16, "10,000,000,000,000,000.00"),
        (Decimal("1E+3"), "1,000.00"), (math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf"), ("1.50", "1.50"),
        (1.23445, "1.2344"), (1.23455, "1.2346"), (Decimal("-0.00004"), "0.00"),
    ],
)  # fmt: skip
def test_documented_prices(price: Any, text: str) -> None:
    assert text == format_price(price)


def test_places_of_a_price() -> None:
    assert ["1.24", "1.23", "1.20", "1.00", "1.23456789"] == [
        format_price(1.245, 2), format_price(1.2345, 2), format_price(1.23456789, 1), format_price(1.23456789, 0),
        format_price(1.23456789, 8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("price", "decimals"), [("x", 4), (None, 4), (1, -1), (1, 1.0), (1, "2"), (1, None), (Decimal("1E+5000"), 4)]
)
def test_what_is_no_price_is_refused(price: Any, decimals: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        format_price(price, decimals)


@pytest.mark.parametrize("padding", ["10", 1.5, None])
def test_a_column_has_a_whole_number_of_places(padding: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="padding"):
        format_price_padded(1.5, padding)


@pytest.mark.parametrize(
    ("price", "padding", "decimals", "text"),
    [
        (3.333333333333, 10, 4, "    3.3333"), (800000222222.333777777777777, 30, 4, "          800,000,222,222.3337"),
        (-20.3242343289, 10, 4, "  -20.3242"), (1.23456789, 0, 8, "1.23456789"), (1.23456789, 0, 1, "1.20"),
        (None, 4, 4, "    "), (0, 4, 4, "    "), (0.0, 0, 4, " "), (math.nan, 5, 4, "  NaN"),
        (Decimal("3.3"), 5, 4, " 3.30"), (0.0049, 1, 4, "0.0049"), (0.000049, 1, 4, "0.00"),
    ],
)  # fmt: skip
def test_padded_prices_stand_to_the_right(price: Any, padding: int, decimals: int, text: str) -> None:
    assert text == format_price_padded(price, padding, decimals)


def test_prices_read_back_as_their_rounding(mainspring_count: Count) -> None:
    with use_random("prices") as random:
        for _ in range(mainspring_count(5_000, 500_000)):
            price = Decimal(random.randint(-(10 ** random.randint(1, 15)), 10**12)).scaleb(-random.randint(0, 9))
            decimals = random.randint(2, 6)
            text = format_price(price, decimals)
            assert Fraction(round(Fraction(price) * 10**decimals), 10**decimals) == Fraction(text.replace(",", ""))
            whole, places = text.split(".")
            assert 2 <= len(places) <= decimals
            assert len(places) == 2 or not places.endswith("0")
            assert all(len(group) == 3 for group in whole.split(",")[1:])


@pytest.mark.parametrize("decimal_first", [False, True])
def test_a_float_and_its_exact_decimal_are_different_steps(decimal_first: bool) -> None:
    """They are equal and have the same hash; a float counts as it is printed."""
    _numeric._steps.clear()
    tenth = 0.1
    calls: list[tuple[Callable[[], Decimal], str]] = [
        (lambda: round_near(tenth, 0.3, Round.DOWN), "0.3"),
        (lambda: round_near(Decimal(tenth), 5, Round.DOWN, 20), "4.90000000000000027200"),
    ]
    for call, expected in reversed(calls) if decimal_first else calls:
        assert expected == str(call())
