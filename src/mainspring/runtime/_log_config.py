"""`basic_config`: one call that makes the logs of a program look right and cost nothing."""

import asyncio
import logging
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, TextIO
from weakref import WeakSet

from mainspring.errors import InvalidArgumentError
from mainspring.runtime._log_buffer import BatchStreamHandler, BufferedHandler, DropPolicy
from mainspring.runtime._log_child import hear_children
from mainspring.runtime._log_format import LogFormat, LogLevel, line_formatter

_MAX_RETIRE: Final = 2.0  # seconds for what a former configuration still has to write
_LINES: Final = (LogFormat.stream, LogFormat.color, LogFormat.plain)


def basic_config(
    level: int | str = LogLevel.info,
    log_format: int | str | None = None,
    buffered: bool = True,
    buffer_size: int = 1024,
    flush_interval: float = 0.2,
    *,
    date_format: str | None = None,
    policy: DropPolicy = "drop-oldest",
    stream: TextIO | None = None,
    handlers: Iterable[logging.Handler] = (),
    loop: asyncio.AbstractEventLoop | None = None,
) -> None:
    """Configure the root logger: level, format, handlers; safe to call again, the last call counts.

    Unhandled errors go to the logger "unhandled", those of `loop` to "asyncio.unhandled".

    Args:
        level: number or name.
        log_format: one of `LogFormat.choices()`; None: `LogFormat.default()`; "disabled": only `handlers`.
        buffered: format and write in a thread, so that a log call never waits.
        buffer_size, flush_interval, policy: see `BufferedHandler`.
        date_format: for `time.strftime`; None: that of the format.
        stream: where lines and JSON go; None: stderr.
        handlers: further handlers, buffered alike.
        loop: report its unhandled errors too.

    Raises:
        InvalidArgumentError: the level, the format or the policy is unknown.
        MissingExtraError: the format needs a library that is not installed.
    """
    hear_children()
    number = level_number(level)
    chosen = format_of(LogFormat.default() if log_format is None else log_format)
    made = [] if chosen is LogFormat.disabled else [log_handler(chosen, date_format, stream)]
    targets = [*made, *handlers]

    def before(target: logging.Handler) -> logging.Handler:
        if isinstance(target, BufferedHandler):
            return target
        return _OwnBuffer(target, buffer_size=buffer_size, flush_interval=flush_interval, policy=policy)

    if buffered:
        targets = list(map(before, targets))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if not _retire(old):  # that sink hangs, and the next handler may write to the same
            targets = list(map(before, targets))
    _made.update(made)
    for one in targets:
        root.addHandler(one)
    root.setLevel(number)
    sys.excepthook = _log_unhandled
    if loop is not None:
        watch_loop(loop)


class _OwnBuffer(BufferedHandler):
    """A buffer that `basic_config` put before a handler, and takes away at the next configuration."""


# Handlers that `basic_config` made for a format: it closes them, too.
_made: "WeakSet[logging.Handler]" = WeakSet()


def _retire(old: logging.Handler) -> bool:
    """Let go of a handler; say whether all that it had to write is written."""
    if isinstance(old, _OwnBuffer):
        written = old.stop(_MAX_RETIRE)
        if written and old.target in _made:
            old.target.close()
        return written
    if isinstance(old, BufferedHandler):
        return old.drain(_MAX_RETIRE)
    if old in _made:
        old.close()
    return True


def level_number(level: int | str) -> int:
    """Return the number of a level given by number or by name, custom ones included."""
    if isinstance(level, int):
        return int(level)
    text = level.strip()
    if text.isdigit():
        return int(text)
    number = logging.getLevelNamesMapping().get(text.upper())
    if number is None:
        expected = f"a number or one of {', '.join(LogLevel.choices())}"
        raise InvalidArgumentError(argument="level", value=level, expected=expected)
    return number


def format_of(log_format: int | str) -> LogFormat:
    """Return the format of a number or name."""
    try:
        return LogFormat[log_format.strip().lower()] if isinstance(log_format, str) else LogFormat(log_format)
    except (KeyError, ValueError):
        expected = f"one of {', '.join(LogFormat.choices())}"
        raise InvalidArgumentError(argument="log_format", value=log_format, expected=expected) from None


def log_handler(log_format: LogFormat, date_format: str | None = None, stream: TextIO | None = None) -> logging.Handler:
    """Return the handler of a built-in format, unbuffered; its library is imported here."""
    if log_format in _LINES:
        handler: logging.Handler = BatchStreamHandler(stream)
        handler.setFormatter(line_formatter(log_format, date_format))
        return handler
    if log_format is LogFormat.json:
        from mainspring.runtime._log_json import JsonFormatter  # only programs that log JSON need it

        handler = BatchStreamHandler(stream)
        handler.setFormatter(JsonFormatter() if date_format is None else JsonFormatter(date_format))
        return handler
    from mainspring.runtime._log_system import system_handler

    return system_handler(log_format, date_format, stream)


def wrap_logging_handler(
    handler: logging.Handler,
    buffer_size: int = 1024,
    flush_interval: float = 0.1,
    loop: asyncio.AbstractEventLoop | None = None,
) -> BufferedHandler:
    """Return a handler that hands its records to `handler` in a thread; `loop` is accepted and not needed."""
    return BufferedHandler(handler, buffer_size=buffer_size, flush_interval=flush_interval)


def _log_unhandled(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("unhandled").error("Unhandled exception", exc_info=(kind, error, trace))


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Log what nobody handles on a loop to "asyncio.unhandled", with the transport and task as fields."""
    loop.set_exception_handler(_log_loop_error)


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # Any: asyncio's dict
    error = context.get("exception")
    fields = {name: repr(value) for name, value in context.items() if name not in ("message", "exception")}
    transport = context.get("transport")
    if transport is not None:
        names = ("peername", "sockname", "compression", "cipher", "peercert", "pipe", "subprocess")
        fields.update((name, repr(found)) for name in names if (found := transport.get_extra_info(name)))
    logging.getLogger("asyncio.unhandled").error(
        "%s", context.get("message", "unhandled error"), exc_info=error, extra=fields
    )
