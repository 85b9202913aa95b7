"""`aiomisc_log.formatter.journald`."""

import logging
from typing import Any

from mainspring.runtime import LogFormat, log_handler

__all__ = ("journald_formatter",)


def journald_formatter(**_: Any) -> logging.Handler:  # Any: options of other formats
    """Return the handler that writes to the journal of systemd."""
    return log_handler(LogFormat.journald)
