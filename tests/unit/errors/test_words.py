"""Errors quote values as people read them, and name what was probably meant."""

import traceback
from datetime import UTC, date, datetime

import pytest

from mainspring.errors import InvalidArgumentError, UnknownJobError


class Kind:
    """Something that is no instance."""


def some_function() -> None: ...


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "'text'"),
        (7, "7"),
        (None, "None"),
        (Kind, "Kind"),
        (some_function, "some_function"),
        (date(2013, 1, 2), "2013-01-02"),
        (datetime(2013, 1, 2, tzinfo=UTC), "2013-01-02T00:00:00+00:00"),
    ],
)
def test_values_are_shown_as_people_write_them(value: object, said: str) -> None:
    error = InvalidArgumentError(argument="it", value=value, expected="another")
    assert f"it={said} is not accepted: expected another" == str(error)


def test_a_long_value_loses_its_middle() -> None:
    said = str(InvalidArgumentError(argument="it", value=list(range(100_000)), expected="fewer"))
    assert said.startswith("it=[0, 1, 2, ")
    assert said.endswith(", 99998, 99999] is not accepted: expected fewer")
    assert len(said) < 400


def test_the_nearest_known_word_is_the_hint() -> None:
    def error(value: object) -> InvalidArgumentError:
        return InvalidArgumentError(
            argument="it", value=value, expected="a colour", known=["red", "green"], hint="look"
        )

    assert ["did you mean 'green'?", "look", "look"] == [error(value).hint for value in ("gren", "xyz", 7)]


def test_an_unknown_job_names_those_that_there_are() -> None:
    many = tuple(f"job{number}" for number in range(30))
    assert "did you mean 'load'? known jobs: load, sum" == UnknownJobError(job_id="laod", known=("load", "sum")).hint
    assert "known jobs: load, sum" == UnknownJobError(job_id="xyz", known=("load", "sum")).hint
    assert (UnknownJobError(job_id="xyz", known=many).hint or "").endswith("job19, ...")
    assert "@app.job()" in (UnknownJobError(job_id="load").hint or "")


def test_a_traceback_shows_where_an_error_can_be_imported() -> None:
    shown = traceback.format_exception_only(UnknownJobError(job_id="load"))
    assert "mainspring.errors.UnknownJobError: there is no job 'load'\n" == shown[0]
