"""`mutil.numeric`."""

from decimal import Decimal
from typing import Any

from mainspring.tools import Round as ROUND  # noqa: N814
from mainspring.tools import format_price as fmtPrice  # noqa: N812
from mainspring.tools import format_price_padded as fmtPricePad  # noqa: N812
from mainspring.tools import round_near

__all__ = ("ROUND", "fmtPrice", "fmtPricePad", "roundnear", "roundnear5", "roundnear10")


def roundnear(
    increment: Any, price: Any, direction: ROUND | bool = ROUND.NEAR, decimals: int | None = 2
) -> Decimal | float:
    """Round to a multiple of `increment`; without `decimals` to a whole number."""
    if decimals is None:
        return int(round_near(increment, price, direction, 0))
    return round_near(increment, price, direction, decimals)


def roundnear5(price: Any, direction: ROUND | bool) -> Decimal | float:
    """Round to a multiple of 0.05."""
    return round_near(0.05, price, direction)


def roundnear10(price: Any, direction: ROUND | bool) -> Decimal | float:
    """Round to a multiple of 0.10."""
    return round_near(0.10, price, direction)
