"""Log formats that are written by others: syslog, the systemd journal, rich."""

import logging
import os
import sys
from typing import Final, TextIO

from mainspring.base import load_extra
from mainspring.runtime._log_format import DateFormat, LineFormatter, LogFormat

SYSLOG_SOCKET: Final = "/dev/log"


def system_handler(
    log_format: LogFormat, date_format: str | None = None, stream: TextIO | None = None
) -> logging.Handler:
    """Return the handler of a format; its library is imported here.

    Raises:
        MissingExtraError: the library is not installed.
        FileNotFoundError: the journal has no socket here.
    """
    if log_format is LogFormat.syslog:
        return _syslog(date_format)
    if log_format is LogFormat.journald:
        module = load_extra("logging_journald", feature="the log format journald", extra="journald")
        journal: logging.Handler = module.JournaldLogHandler()
        return journal
    return _rich(date_format, stream, with_locals=log_format is LogFormat.rich_tb)


def _rich(date_format: str | None, stream: TextIO | None, *, with_locals: bool) -> logging.Handler:
    module = load_extra("rich.logging", feature="the log format rich", extra="rich")
    console = load_extra("rich.console", feature="the log format rich", extra="rich").Console
    handler: logging.Handler = module.RichHandler(
        console=console(file=stream, stderr=True),
        log_time_format=date_format or DateFormat.rich,
        rich_tracebacks=with_locals,
        tracebacks_show_locals=with_locals,
    )
    handler.setFormatter(LineFormatter("%(message)s"))
    return handler


def _syslog(date_format: str | None) -> logging.Handler:
    from logging.handlers import SYSLOG_UDP_PORT, SysLogHandler  # heavy, and seldom used

    if date_format is not None and sys.stderr is not None:
        sys.stderr.write("the date format of the logs is not used: syslog dates records itself\n")
    address = SYSLOG_SOCKET if os.path.exists(SYSLOG_SOCKET) else ("localhost", SYSLOG_UDP_PORT)
    handler = SysLogHandler(address)
    handler.setFormatter(LineFormatter("%(name)s: %(message)s"))
    return handler
