"""`print_frame`: a whole table in the log, as wide as the terminal."""

import logging
import shutil
import sys
from collections.abc import Iterator
from typing import Any, Final  # Any: tables of any library

from mainspring.errors import InvalidArgumentError

log = logging.getLogger(__name__)

FRAME_LEVEL: Final = 25
_ANY_LENGTH: Final = 1_000_000


def print_frame(
    df: Any,  # Any: tables of any library
    caption: str = "",
    headers: int | None = None,
    level: str | int = "FRAME",
) -> None:
    """Log a whole table: no row, column or cell is cut, lines are as wide as the terminal is now.

    First an INFO line `caption :: Row count: N`, then the table. DataFrames and Series of pandas and polars are
    known; anything else is shown by its `str`. The level FRAME (25) is made when it is not there.

    Args:
        df: the table.
        caption: what the first line begins with.
        headers: repeat the column names every so many rows, one record for each such slice.
        level: the name or number of the log level of the table.

    Raises:
        InvalidArgumentError: `headers` is below 1, or nothing is known of the level.
    """
    if headers is not None and (type(headers) is not int or headers < 1):
        raise InvalidArgumentError(argument="headers", value=headers, expected="an int >= 1, or None")
    number = _level_number(level)
    log.info("%s", caption_line(df, caption), stacklevel=2)
    for text in frame_texts(df, headers):
        log.log(number, "\n%s", text, stacklevel=2)


def caption_line(df: Any, caption: str) -> str:  # Any: tables of any library
    """Return the line before the table."""
    count = f"Row count: {len(df)}"
    return f"{caption} :: {count}" if caption else count


def frame_texts(df: Any, headers: int | None) -> Iterator[str]:  # Any: tables of any library
    """Yield the table as text, in slices of `headers` rows."""
    width = shutil.get_terminal_size().columns
    if headers is None or _library(df) not in {"pandas", "polars"}:
        yield _text(df, width)
        return
    rows = getattr(df, "iloc", df)
    for first in range(0, max(len(df), 1), headers):
        yield _text(rows[first : first + headers], width)


def _library(df: object) -> str:
    return type(df).__module__.partition(".")[0]


def _text(df: Any, width: int) -> str:  # Any: tables of any library
    library = _library(df)
    if library == "pandas":
        return _pandas_text(df, width)
    if library == "polars":
        with sys.modules["polars"].Config(
            tbl_rows=-1, tbl_cols=-1, tbl_width_chars=width, fmt_str_lengths=_ANY_LENGTH, fmt_table_cell_list_len=-1
        ):
            return str(df)
    return str(df)


def _pandas_text(df: Any, width: int) -> str:  # Any: tables of any library
    options = ("display.max_rows", None, "display.max_columns", None, "display.width", width)
    more = ("display.max_colwidth", None, "display.expand_frame_repr", True, "display.show_dimensions", False)
    with sys.modules["pandas"].option_context(*options, *more):
        return str(df)


def _level_number(level: str | int) -> int:
    if isinstance(level, int):
        return level
    if level == "FRAME":
        ensure_frame_level()
    number = logging.getLevelNamesMapping().get(level)
    if number is None:
        raise InvalidArgumentError(argument="level", value=level, expected="the name of a log level")
    return number


def ensure_frame_level() -> None:
    """Give the log level 25 the name FRAME, unless the program gave that name or number a meaning already."""
    if "FRAME" not in logging.getLevelNamesMapping():
        logging.addLevelName(FRAME_LEVEL, "FRAME")
