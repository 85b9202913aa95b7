"""The lines that one attempt of a run logged, as its record keeps them."""

from msgspec import Struct


class LogLine(Struct, frozen=True, array_like=True):
    """One line: when (UTC microseconds), how grave, which logger, and what it said, with its traceback."""

    at: int
    level: str
    logger: str
    message: str


class RunLog(Struct, frozen=True, kw_only=True):
    """The lines of one attempt, oldest first; `dropped_count` of them, between the first and the last, are lost."""

    lines: tuple[LogLine, ...]
    dropped_count: int = 0
    first_count: int = 0  # lines that come before those that are lost
