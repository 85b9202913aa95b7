"""`aiomisc_log.basic_config` and the handlers that it makes."""

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final, TextIO

from mainspring.runtime import LogFormat, LogLevel, format_of, level_number, log_handler
from mainspring.runtime import basic_config as _basic_config

LOG_LEVEL: Final[ContextVar[int]] = ContextVar("LOG_LEVEL", default=logging.INFO)
LOG_FORMAT: Final[ContextVar[LogFormat]] = ContextVar("LOG_FORMAT", default=LogFormat.color)


def note_settings(level: int | str, log_format: int | str | None) -> None:
    """Keep what logging is configured with, for `LOG_LEVEL` and `LOG_FORMAT`."""
    LOG_LEVEL.set(level_number(level))
    LOG_FORMAT.set(format_of(LogFormat.default() if log_format is None else log_format))


def create_logging_handler(
    log_format: int | str = LogFormat.color,
    date_format: str | None = None,
    *,
    stream: TextIO | None = None,
    **_: Any,  # Any: other options of aiomisc, which have no meaning here
) -> logging.Handler | None:
    """Return the handler of a format, or None for "disabled"."""
    chosen = format_of(log_format)
    return None if chosen is LogFormat.disabled else log_handler(chosen, date_format, stream)


def basic_config(
    level: int | str = LogLevel.info,
    log_format: int | str = LogFormat.color,
    handler_wrapper: Callable[[logging.Handler], logging.Handler] = lambda handler: handler,
    handlers: Iterable[logging.Handler] = (),
    **kwargs: Any,  # Any: date_format and stream, for the handler of the format
) -> None:
    """Configure the root logger without buffers; `handler_wrapper` may put one around each handler."""
    made = create_logging_handler(log_format, **kwargs)
    every = ([] if made is None else [made]) + list(handlers)
    note_settings(level, log_format)
    _basic_config(level, LogFormat.disabled, buffered=False, handlers=map(handler_wrapper, every))
