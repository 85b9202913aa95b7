"""Instants as whole microseconds since 1970-01-01T00:00Z, the form in which stores keep them."""

from datetime import UTC, datetime, timedelta
from typing import overload

from mainspring.errors import InvalidArgumentError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return the UTC microseconds of an aware datetime, exactly.

    Raises:
        InvalidArgumentError: the datetime is naive, or none at all.
    """
    if not isinstance(instant, datetime) or instant.tzinfo is None:  # pyright: ignore[reportUnnecessaryIsInstance]  # anything gets here
        raise naive_datetime("instant", instant)
    return (instant - EPOCH) // _MICROSECOND


@overload
def from_us(microseconds: int) -> datetime: ...
@overload
def from_us(microseconds: int | None) -> datetime | None: ...
def from_us(microseconds: int | None) -> datetime | None:
    """Return the aware UTC datetime of `microseconds` since 1970-01-01T00:00Z; None for None.

    Raises:
        InvalidArgumentError: the instant lies outside the years 1 to 9999.
    """
    if microseconds is None:
        return None
    try:
        return EPOCH + microseconds * _MICROSECOND
    except OverflowError as error:
        raise InvalidArgumentError(
            argument="microseconds", value=microseconds, expected="an instant in the years 1 to 9999"
        ) from error


def naive_datetime(argument: str, value: object) -> InvalidArgumentError:
    """Compose the refusal of a datetime without a zone, the same one everywhere."""
    return InvalidArgumentError(
        argument=argument,
        value=value,
        expected="an aware datetime (one with a time zone)",
        hint="write datetime(2013, 1, 1, tzinfo=UTC) or datetime(2013, 1, 1, tzinfo=ZoneInfo('Europe/Berlin'))",
    )
