"""Text that people write becomes values, or a sentence that names its source."""

from datetime import timedelta

import pytest

from mainspring.base import parse_bool, parse_duration, seconds_hint
from mainspring.errors import InvalidArgumentError


@pytest.mark.parametrize("text", ["1", "yes", "TRUE", " on ", "enable", "Enabled"])
def test_yes(text: str) -> None:
    assert parse_bool(text, source="X") is True


@pytest.mark.parametrize("text", ["0", "no", "False", "off", "disable", "disabled", ""])
def test_no(text: str) -> None:
    assert parse_bool(text, source="X") is False


def test_another_word_names_the_source() -> None:
    with pytest.raises(InvalidArgumentError, match="MAINSPRING_DEBUG='maybe'"):
        parse_bool("maybe", source="MAINSPRING_DEBUG")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("1.5s", 1.5),
        (".5", 0.5),
        ("250ms", 0.25),
        ("10m", 600.0),
        ("2 H", 7200.0),
        ("1d", 86400.0),
        ("1w", 604800.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("0", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds == parse_duration(text, source="X")


@pytest.mark.parametrize("text", ["", "s", "-1", "1y", "1h30", "1e5", "nan", "9" * 400, "1 2"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="--timeout="):
        parse_duration(text, source="--timeout")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("90", "write 90, a number of seconds"),
        (" 1h30m", "write 5400, a number of seconds"),
        (timedelta(milliseconds=500), "write 0.5, a number of seconds"),
        ("soon", None),
        (None, None),
        (-1, None),
    ],
)
def test_a_duration_that_is_no_number_is_told_as_one(value: object, said: str | None) -> None:
    assert said == seconds_hint(value)
