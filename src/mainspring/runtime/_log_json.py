"""Log records as JSON, one object per line."""

import json
import logging
from math import isfinite
from typing import Any, Final

from mainspring.runtime._log_format import DateFormat

_STANDARD: Final = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName", "getMessage"}
)
_LEVELS: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_ERRNO_OF_FAILURE: Final = 255
_SIMPLE: Final = frozenset({str, int, bool, type(None)})
# Below a blank JSON escapes by itself; these would still move a cursor, or end a line for some viewers.
_ESCAPES: Final = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}


class JsonFormatter(logging.Formatter):
    """`{"@fields": {...}, "msg": ..., "level": ...}`, with `@timestamp` and `stackTrace` where they apply."""

    def __init__(self, date_format: str | None = DateFormat.json) -> None:
        super().__init__(datefmt=date_format)
        self._encode = json.JSONEncoder(ensure_ascii=False, default=repr, skipkeys=True, allow_nan=False).encode

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        message = record.getMessage()
        payload: dict[str, Any] = {  # Any: JSON
            "@fields": self._fields(record),
            "msg": message,
            "level": _LEVELS.get(record.levelno) or str(record.levelname).lower(),
        }
        if self.datefmt:
            raw = self.datefmt == DateFormat.json
            payload["@timestamp"] = record.created if raw else self.formatTime(record, self.datefmt)
        if record.exc_info and record.exc_info[0]:
            payload["stackTrace"] = self.formatException(record.exc_info)
        elif record.exc_text:  # of a child process
            payload["stackTrace"] = record.exc_text
        try:
            text = self._encode(payload)
        except (ValueError, RecursionError):  # JSON has no NaN and no infinity, and no values inside of themselves
            fields = payload["@fields"].items()
            payload["@fields"] = {name: value if _is_simple(value) else repr(value) for name, value in fields}
            text = self._encode(payload)
        return text if text.isprintable() else text.translate(_ESCAPES)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "errno": _ERRNO_OF_FAILURE if record.exc_info or record.exc_text else 0,
            "code_file": record.pathname,
            "code_func": record.funcName,
            "code_line": record.lineno,
            "code_module": record.module,
            "identifier": record.name,
            "message_raw": record.msg,
            "pid": record.process,
            "process_name": record.processName,
            "thread_name": record.threadName,
        }
        fields.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
        arguments = record.args or ()
        if isinstance(arguments, tuple):
            fields.update((f"argument_{number}", value) for number, value in enumerate(arguments))
        else:
            fields.update((f"argument_{name}", value) for name, value in arguments.items())
        return fields


def _is_simple(value: object) -> bool:
    return type(value) in _SIMPLE or (isinstance(value, float) and isfinite(value))
