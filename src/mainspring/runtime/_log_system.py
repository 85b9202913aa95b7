"""Log formats that are written by others: syslog, the systemd journal, rich."""

import errno
import logging
import os
import sys
from typing import Any, Final, TextIO  # Any: attributes of third parties

from mainspring.base import load_extra
from mainspring.runtime._log_format import DateFormat, LineFormatter, LogFormat
from mainspring.runtime._log_secrets import safe_record

SYSLOG_SOCKET: Final = "/dev/log"
JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (25, 5), (logging.INFO, 6))
_LEAST_PRIORITY: Final = 7


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
        return _journal()
    return _rich(date_format, stream, with_locals=log_format is LogFormat.rich_tb)


def _journal() -> logging.Handler:
    module = load_extra("logging_journald", feature="the log format journald", extra="journald")
    if not os.path.exists(JOURNAL_SOCKET):
        raise FileNotFoundError(errno.ENOENT, "the journal of systemd has no socket", JOURNAL_SOCKET)
    extended = {"LEVELS": _Priorities(), "close": _close_journal}
    kind = type("JournalHandler", (module.JournaldLogHandler,), extended)
    handler: logging.Handler = _discreet(kind, with_fields=True)(socket_path=JOURNAL_SOCKET)
    return handler


def _discreet(kind: Any, *, with_fields: bool = False, with_locals: bool = False) -> Any:
    """Return a kind of handlers that show no secrets; see `safe_record`."""

    def emit(self: Any, record: logging.LogRecord) -> None:
        try:
            safe = safe_record(record, with_fields=with_fields, with_locals=with_locals)
        except Exception:  # noqa: BLE001  # supervisor: a log call must not raise into its caller
            self.handleError(record)
        else:
            kind.emit(self, safe)

    return type(kind.__name__, (kind,), {"emit": emit})


def _close_journal(handler: Any) -> None:
    """Close the socket too, which the library leaves open."""
    handler.transport.socket.close()
    logging.Handler.close(handler)


class _Priorities(dict[int, int]):
    """The priority in the journal of every level: the library knows the standard ones, and refuses others."""

    def __missing__(self, level: int) -> int:
        return next((priority for least, priority in _PRIORITIES if level >= least), _LEAST_PRIORITY)


def _rich(date_format: str | None, stream: TextIO | None, *, with_locals: bool) -> logging.Handler:
    module = load_extra("rich.logging", feature="the log format rich", extra="rich")
    console = load_extra("rich.console", feature="the log format rich", extra="rich").Console
    handler: logging.Handler = _discreet(module.RichHandler, with_locals=with_locals)(
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
    handler: logging.Handler = _discreet(SysLogHandler)(address)
    handler.setFormatter(LineFormatter("%(name)s: %(message)s"))
    return handler
