"""`aiomisc_log.formatter.json`."""

import logging
from typing import Any, TextIO

from mainspring.runtime import JsonFormatter as JSONLogFormatter
from mainspring.runtime import LogFormat, log_handler

__all__ = ("JSONLogFormatter", "json_handler")


def json_handler(
    stream: TextIO | None = None, date_format: str | None = None, **_: Any
) -> logging.Handler:  # Any: options of other formats
    """Return the handler that writes JSON to stderr or `stream`."""
    return log_handler(LogFormat.json, date_format, stream)
