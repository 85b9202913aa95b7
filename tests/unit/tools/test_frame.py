"""print_frame: whole tables of pandas and polars in the log, in slices, at the level asked for."""

import logging
import subprocess
import sys
from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.tools import print_frame


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(1)
    monkeypatch.setenv("COLUMNS", "60")


@pytest.mark.extras
class TestPandas:
    def test_nothing_is_cut(self, caplog: pytest.LogCaptureFixture) -> None:
        import pandas as pd

        frame = pd.DataFrame({f"column {number}": ["x" * 70] * 300 for number in range(30)})
        print_frame(frame, "all of it")
        caption, table = texts(caplog)
        assert "all of it :: Row count: 300" == caption
        assert 300 * 30 == table.count("x" * 70)
        assert all(f"column {number}" in table for number in range(30))

    def test_lines_are_as_wide_as_the_terminal_is_now(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import pandas as pd

        frame = pd.DataFrame({f"c{number}": [number] for number in range(20)})
        for width in (40, 200):
            monkeypatch.setenv("COLUMNS", str(width))
            print_frame(frame)
        _, narrow, _, wide = texts(caplog)
        assert 40 >= max(map(len, narrow.splitlines())) > 20
        assert max(map(len, wide.splitlines())) > 40

    def test_headers_are_repeated(self, caplog: pytest.LogCaptureFixture) -> None:
        import pandas as pd

        print_frame(pd.DataFrame({"price": range(25)}, index=range(100, 125)), headers=12)
        assert ["Row count: 25", 12, 12, 1] == [texts(caplog)[0], *(text.count("\n") - 1 for text in texts(caplog)[1:])]
        assert all(text.startswith("\n") and "price" in text for text in texts(caplog)[1:])

    def test_an_empty_table_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        import pandas as pd

        print_frame(pd.DataFrame({"price": []}), headers=3)
        assert ["Row count: 0", True] == [texts(caplog)[0], "price" in texts(caplog)[1]]

    def test_a_series_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        import pandas as pd

        print_frame(pd.Series([1, 2], name="n"))
        assert 2 == texts(caplog)[1].count("n") or "Name: n" in texts(caplog)[1]


@pytest.mark.extras
def test_polars_is_shown_whole(caplog: pytest.LogCaptureFixture) -> None:
    import polars as pl

    frame = pl.DataFrame({"name": [f"row {number} {'x' * 40}" for number in range(40)]})
    print_frame(frame, headers=25)
    _, first, second = texts(caplog)
    assert "row 24 " in first
    assert "row 25 " not in first
    assert "row 39 " in second
    assert "…" not in first + second


class Rows(list[int]):
    def __str__(self) -> str:
        return " / ".join(map(str, self))


def test_anything_with_a_length_is_shown_by_its_str(caplog: pytest.LogCaptureFixture) -> None:
    print_frame(Rows([1, 2, 3]), "numbers")
    print_frame({"a": 1}, "keys", 5)
    assert ["numbers :: Row count: 3", "\n1 / 2 / 3", "keys :: Row count: 1", "\n{'a': 1}"] == texts(caplog)


def test_levels_and_places(caplog: pytest.LogCaptureFixture) -> None:
    levels: list[Any] = ["FRAME", "INFO", logging.DEBUG]
    for level in levels:
        print_frame([1], level=level)
    assert ["INFO", "FRAME", "INFO", "INFO", "INFO", "DEBUG"] == [record.levelname for record in caplog.records]
    assert 25 == caplog.records[1].levelno
    assert {"test_levels_and_places"} == {record.funcName for record in caplog.records}


@pytest.mark.parametrize(("name", "value"), [("headers", 0), ("headers", 1.5), ("level", "LOUD")])
def test_bad_arguments_are_refused(name: str, value: object, caplog: pytest.LogCaptureFixture) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(InvalidArgumentError, match=name):
        print_frame([1], **arguments)
    assert [] == texts(caplog)


def test_no_table_library_is_imported() -> None:
    program = (
        "import sys, logging; from mainspring.tools import print_frame\n"
        "assert 'FRAME' not in logging.getLevelNamesMapping()\n"
        "print_frame([1]); assert not {'pandas', 'polars', 'rich'} & set(sys.modules)\n"
        "assert 25 == logging.getLevelNamesMapping()['FRAME']"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)
