import pytest

from mainspring.base import CronExpression


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("30 2 * * mon", "at 02:30 on mon"),
        ("0 0,12 * * *", "at 00:00, 12:00"),
        ("0 0 * * * 5", "at 00:00:05"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("5/15 * * * *", "every 15 minutes from minute 5"),
        ("0 * * * *", "minute 0 of every hour"),
        (
            "*/5 9-17 * * mon-fri",
            "every 5 minutes of hour 9, 10, 11, 12, 13, 14, 15, 16, 17 on mon, tue, wed, thu, fri",
        ),
        ("* * * * * */10", "every 10 seconds of every minute"),
        ("0 0 L * *", "at 00:00 on the last day"),
        ("0 0 1,L jan *", "at 00:00 on day 1, the last day in jan"),
        ("0 0 1 * fri#2", "at 00:00 on day 1 or on the second fri"),
        ("0 0 */10 * friL", "at 00:00 on day 1, 11, 21, 31 and on the last fri"),
    ],
)
def test_expression_in_words(text: str, words: str) -> None:
    assert words == CronExpression(text).describe()
