"""Log formats that are written by others: syslog, the systemd journal, rich."""

import logging
import os
from typing import Final

from mainspring.base import load_extra
from mainspring.errors import InvalidArgumentError
from mainspring.runtime._log_format import DateFormat, LineFormatter, LogFormat

SYSLOG_SOCKET: Final = "/dev/log"


def system_handler(log_format: LogFormat, date_format: str | None) -> logging.Handler:
    """Return the handler of a format; its library is imported here.

    Raises:
        InvalidArgumentError: syslog writes its own time and takes no date format.
        MissingExtraError: the library is not installed.
    """
    if log_format is LogFormat.syslog:
        return _syslog(date_format)
    if log_format is LogFormat.journald:
        module = load_extra("logging_journald", feature="the log format journald", extra="journald")
        journal: logging.Handler = module.JournaldLogHandler()
        return journal
    module = load_extra("rich.logging", feature="the log format rich", extra="rich")
    is_long = log_format is LogFormat.rich_tb
    handler: logging.Handler = module.RichHandler(
        log_time_format=date_format or DateFormat.rich, rich_tracebacks=is_long, tracebacks_show_locals=is_long
    )
    handler.setFormatter(LineFormatter("%(message)s"))
    return handler


def _syslog(date_format: str | None) -> logging.Handler:
    from logging.handlers import SYSLOG_UDP_PORT, SysLogHandler  # heavy, and seldom used

    if date_format is not None:
        raise InvalidArgumentError(argument="date_format", value=date_format, expected="None, since syslog dates")
    address = SYSLOG_SOCKET if os.path.exists(SYSLOG_SOCKET) else ("localhost", SYSLOG_UDP_PORT)
    handler = SysLogHandler(address)
    handler.setFormatter(LineFormatter("%(name)s: %(message)s"))
    return handler
