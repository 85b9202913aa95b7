import pytest

from mainspring.base._cron_parse import parse_cron
from mainspring.errors import InvalidArgumentError


def bits(*values: int) -> int:
    return sum(1 << value for value in set(values))


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("* * * * *", "minutes", bits(*range(60))),
        ("*/20 * * * *", "minutes", bits(0, 20, 40)),
        ("50/3 * * * *", "minutes", bits(50, 53, 56, 59)),
        ("1-9/4,30 * * * *", "minutes", bits(1, 5, 9, 30)),
        ("05 * * * *", "minutes", bits(5)),
        ("? ? * * *", "hours", bits(*range(24))),
        ("* * * JAN-mar,Dec *", "months", bits(1, 2, 3, 12)),
        ("* * ? * *", "days", bits(*range(1, 32))),
        ("* * * * 0", "weekdays", bits(0)),
        ("* * * * 7", "weekdays", bits(0)),
        ("* * * * 5-7", "weekdays", bits(5, 6, 0)),
        ("* * * * fri-sun", "weekdays", bits(5, 6, 0)),
        ("* * * * *", "weekdays", bits(*range(7))),
        ("* * * * */2", "weekdays", bits(0, 2, 4, 6)),
        ("* * * * 1/2", "weekdays", bits(1, 3, 5)),
        ("* * * * * 0-59/15", "seconds", bits(0, 15, 30, 45)),
        ("* * * * *", "seconds", bits(0)),
        ("* * L * *", "last_day", True),
        ("* * 1,L * *", "days", bits(1)),
        ("* * * * friL,1#2,L0", "nth_weekdays", ((5, 0), (1, 2), (0, 0))),
        ("* * * * 7L", "nth_weekdays", ((0, 0),)),
        ("* * */2 * mon", "any_day", True),
        ("* * 1 * ?", "any_day", True),
        ("* * 1 * mon", "any_day", False),
        ("*/5 1 * * *", "wildcard_time", True),
        ("0 0-23 * * *", "wildcard_time", False),
        ("@yearly", "months", bits(1)),
        (" @Daily ", "hours", bits(0)),
    ],
)
def test_fields_mean(text: str, field: str, expected: object) -> None:
    assert expected == getattr(parse_cron(text), field)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected 5 fields (minute hour day month weekday) or 6 (seconds last), found 0"),
        ("* * * * * * 2013", "or 6 (seconds last), found 7"),
        ("60 * * * *", "expected 0 to 59 in field 1 (minute), found '60' at position 1"),
        ("0 25 * * *", "expected 0 to 23 in field 2 (hour), found '25' at position 3"),
        ("0 0 0 * *", "expected 1 to 31 in field 3 (day of month), found '0' at position 5"),
        ("0 0 * 1,foo *", "expected 1 to 12 or jan to dec in field 4 (month), found 'foo' at position 9"),
        ("0 0 * * 8", "expected 0 to 7 or sun to sat in field 5 (day of week), found '8' at position 9"),
        ("0 0 * * * 61", "expected 0 to 59 in field 6 (second), found '61' at position 11"),
        ("1,,2 * * * *", "expected a value between the commas of field 1 (minute), found '' at position 3"),
        ("*/0 * * * *", "expected a step from 1 to 60 after the '/' in field 1 (minute), found '*/0'"),
        ("*/x * * * *", "expected a step from 1 to 60"),
        ("*/90 * * * *", "expected a step from 1 to 60"),
        ("5- * * * *", "expected 0 to 59 in field 1 (minute), found '5-'"),
        ("-5 * * * *", "expected 0 to 59 in field 1 (minute), found '-5'"),
        ("20-10 * * * *", "expected a range that goes up in field 1 (minute), found '20-10'"),
        ("٣ * * * *", "expected 0 to 59 in field 1"),
        ("9999999 * * * *", "expected 0 to 59 in field 1"),
        ("0 0 * * L", "expected a weekday beside the L in field 5 (day of week)"),
        ("0 0 * * mon#6", "expected 1 to 5 after the '#' in field 5 (day of week), found 'mon#6'"),
        ("0 0 * * #1", "expected a weekday beside the L"),
        ("0 0 * * xL", "expected 0 to 7 or sun to sat in field 5"),
        ("L * * * *", "expected 0 to 59 in field 1 (minute), found 'l'"),
        ("@reboot", "expected one of @hourly, @daily"),
        ("x" * 2000, "expected at most 1000 characters, not 2000"),
        (None, "expected a cron expression as text"),
        (5, "expected a cron expression as text"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_cron(text)
    assert sentence in str(caught.value)


def test_hints_say_what_to_write() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_cron("0 22-2 * * *")
    assert "22-23,0-2" in (caught.value.hint or "")
