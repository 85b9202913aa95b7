"""How log records look: names of formats and levels, and the formatters for people."""

import logging
import os
import sys
from enum import IntEnum
from importlib.util import find_spec
from typing import Final


class LogLevel(IntEnum):
    """The standard levels by their small names."""

    critical = logging.CRITICAL
    error = logging.ERROR
    warning = logging.WARNING
    info = logging.INFO
    debug = logging.DEBUG
    notset = logging.NOTSET

    @classmethod
    def choices(cls) -> tuple[str, ...]:
        """Return the names, most severe first."""
        return tuple(cls.__members__)


class LogFormat(IntEnum):
    """The built-in formats of log records."""

    disabled = -1
    stream = 0
    color = 1
    json = 2
    syslog = 3
    plain = 4
    journald = 5
    rich = 6
    rich_tb = 7

    @classmethod
    def choices(cls) -> tuple[str, ...]:
        """Return the names."""
        return tuple(cls.__members__)

    @classmethod
    def default(cls) -> str:
        """Return what fits where stderr goes: journald under systemd, plain for files, rich or color for people.

        What needs a library (journald, rich) only where that is installed.
        """
        if _stderr_is_the_journal() and find_spec("logging_journald"):
            return cls.journald.name
        if sys.stderr is None or not sys.stderr.isatty():
            return cls.plain.name
        return cls.rich.name if find_spec("rich") else cls.color.name


def _stderr_is_the_journal() -> bool:
    journal = os.environ.get("JOURNAL_STREAM", "")
    if not journal or sys.stderr is None:
        return False
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return journal == f"{status.st_dev}:{status.st_ino}"


class DateFormat:
    """How each format writes the time, unless it is told."""

    color: Final = "%Y-%m-%d %H:%M:%S"
    stream: Final = "[%Y-%m-%d %H:%M:%S]"
    json: Final = "%s"
    """Not a pattern: seconds since 1970, as the record has them."""
    rich: Final = "[%X]"


# Control characters, the C1 range, and the line separators that some viewers obey; tabs stay.
_ESCAPES: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09},
    0x0A: "\\n",
    0x0D: "\\r",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_ESCAPES_IN_BLOCKS: Final = {code: text for code, text in _ESCAPES.items() if code != 0x0A}


def escape_controls(text: str, *, keep_lines: bool = False) -> str:
    """Show control characters as escapes, so that what is logged cannot forge lines or move the cursor."""
    if text.isprintable():
        return text
    return text.translate(_ESCAPES_IN_BLOCKS if keep_lines else _ESCAPES)


class LogBlock(str):
    """A message of several lines that the program itself has made, as a table: formats for people keep its lines.

    Logged without arguments, since these may come from others.
    """

    __slots__ = ()


def message_of(record: logging.LogRecord) -> str:
    """Return the message of a record; of one whose message cannot be made, what it was to be made of and why not."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  # supervisor: arguments may raise anything, who keeps records goes on
        return f"{repr_of(record.msg)} with {repr_of(record.args)} ({type(error).__name__}: {error})"


def repr_of(value: object) -> str:
    """Return the `repr` of a value; of one that has none, its class and address."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # supervisor: as above
        return object.__repr__(value)


class LineFormatter(logging.Formatter):
    """One line per record, then the traceback if there is one; control characters are shown escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name logging calls
        """Format the line of a record."""
        is_block = isinstance(record.msg, LogBlock) and not record.args
        record.message = escape_controls(record.message, keep_lines=is_block)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802  # the name logging calls
        """Format a traceback; its own lines stay lines."""
        return escape_controls(super().formatException(ei), keep_lines=True)  # type: ignore[arg-type]  # as given

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # the name logging calls
        """Format where the call came from; its own lines stay lines."""
        return escape_controls(stack_info, keep_lines=True)

    def format(self, record: logging.LogRecord) -> str:
        """Format a record without changing the text of its traceback for other formatters."""
        before = record.exc_text
        if before:  # another formatter's, or that of a child process
            record.exc_text = escape_controls(before, keep_lines=True)
        text = super().format(record)
        record.exc_text = before
        return text


_RESET: Final = "\x1b[0m"
_COLORS: Final = ((logging.CRITICAL, "\x1b[1;31m"), (logging.ERROR, "\x1b[31m"), (logging.WARNING, "\x1b[33m"))
_INFO_COLOR: Final = "\x1b[32m"
_DEBUG_COLOR: Final = "\x1b[36m"


class ColorFormatter(LineFormatter):
    """`time [T:thread] LEVEL:name: message`, the level in the color of its weight."""

    def __init__(self, date_format: str | None, *, colors: bool = True) -> None:
        super().__init__("%(asctime)s [T:%(threadName)s] %(levelname)s:%(name)s: %(message)s", date_format)
        self._colors = colors

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name logging calls
        """Format the line of a record, with the level in color."""
        if not self._colors:
            return super().formatMessage(record)
        name = record.levelname
        record.levelname = f"{_color_of(record.levelno)}{name}{_RESET}"
        try:
            return super().formatMessage(record)
        finally:
            record.levelname = name


def _color_of(level: int) -> str:
    for limit, color in _COLORS:
        if level >= limit:
            return color
    return _INFO_COLOR if level >= logging.INFO else _DEBUG_COLOR


def line_formatter(log_format: LogFormat, date_format: str | None) -> logging.Formatter:
    """Return the formatter of a format that writes lines for people."""
    if log_format is LogFormat.color:
        colors = not os.environ.get("NO_COLOR")
        return ColorFormatter(date_format or DateFormat.color, colors=colors)
    if log_format is LogFormat.plain:
        return LineFormatter("%(message)s" if date_format is None else "%(asctime)s %(message)s", date_format)
    prefix = "" if date_format is None else "%(asctime)s "
    return LineFormatter(f"{prefix}%(levelname)s:%(name)s:%(message)s", date_format)
