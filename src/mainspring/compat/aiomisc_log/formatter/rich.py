"""`aiomisc_log.formatter.rich`."""

import logging
from typing import Any, TextIO

from mainspring.runtime import LogFormat, log_handler

__all__ = ("rich_formatter",)


def rich_formatter(
    date_format: str | None = None, stream: TextIO | None = None, *, rich_tracebacks: bool = False, **_: Any
) -> logging.Handler:  # Any: options of other formats
    """Return the handler that writes through rich, to stderr or `stream`."""
    return log_handler(LogFormat.rich_tb if rich_tracebacks else LogFormat.rich, date_format, stream)
