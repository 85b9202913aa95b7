"""`aiomisc_log.enum`."""

from mainspring.runtime import DateFormat, LogFormat, LogLevel

__all__ = ("DateFormat", "LogFormat", "LogLevel")
