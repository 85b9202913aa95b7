"""`aiomisc_log.formatter.color`."""

import logging
from typing import Any, TextIO

from mainspring.runtime import LogFormat, log_handler

__all__ = ("color_formatter",)


def color_formatter(
    stream: TextIO | None = None, date_format: str | None = None, **_: Any
) -> logging.Handler:  # Any: options of other formats
    """Return the handler that writes colored lines to stderr or `stream`."""
    return log_handler(LogFormat.color, date_format, stream)
