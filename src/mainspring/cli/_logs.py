"""What commands log: warnings that nobody handles look as they do in programs."""

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, TextIO, cast

from mainspring.errors import InvalidArgumentError
from mainspring.runtime import LogFormat, Settings, format_of, hear_children, level_number, log_handler

_VARIABLES: Final = "MAINSPRING_LOG_"


@contextmanager
def house_logs() -> Generator[None]:
    """Within the block, write what no handler takes as `MAINSPRING_LOG_...` say, from warnings on unless they say so.

    An app that configures logging is left to it; `mainspring run` and others that are programs configure it anew.

    Raises:
        InvalidArgumentError: a variable is not understood, or its format has no place to go to here.
        MissingExtraError: the format needs a library that is not installed.
    """
    # Programs have variables of their own: what is wrong with those concerns no command.
    variables = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    settings = Settings.from_environment(variables)
    hear_children()
    if not settings.log_config:
        yield
        return
    asked = variables.get(f"{_VARIABLES}LEVEL", "").strip()
    root, before = logging.getLogger(), logging.lastResort
    level = root.level
    handler = _handler(_chosen(settings.log_format), settings.log_date_format)
    if asked:
        handler.setLevel(level_number(asked))
        root.setLevel(handler.level)
    logging.lastResort = handler
    try:
        yield
    finally:
        logging.lastResort = before
        root.setLevel(level)


def _chosen(asked: str | None) -> LogFormat:
    chosen = format_of(asked or LogFormat.default())
    # Rich writes past the bar of a backfill, which lines stand above.
    return LogFormat.color if asked is None and chosen is LogFormat.rich else chosen


def _handler(chosen: LogFormat, date_format: str | None) -> logging.Handler:
    try:
        return _LastResort(chosen, date_format)
    except OSError as error:
        expected = f"a format that works here ({error.strerror})"
        raise InvalidArgumentError(argument=f"{_VARIABLES}FORMAT", value=chosen.name, expected=expected) from error


class _LastResort(logging.Handler):
    """Writes to what is the standard error at that moment: the bar of a backfill takes its place."""

    def __init__(self, log_format: LogFormat, date_format: str | None) -> None:
        super().__init__(logging.WARNING)
        self._target: logging.Handler = logging.NullHandler()
        if log_format is not LogFormat.disabled:
            self._target = log_handler(log_format, date_format)
        self._has_stream = isinstance(self._target, logging.StreamHandler)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if self._has_stream:
            cast("logging.StreamHandler[TextIO]", self._target).setStream(sys.stderr)  # isinstance tells not of what
        self._target.handle(record)
