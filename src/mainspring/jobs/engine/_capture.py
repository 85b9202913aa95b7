"""What a run logs: its own lines, kept for its record beside whatever else becomes of them.

One handler at the root logger serves all apps of the process while any of them is open. A record belongs to the run in
whose context it was made: tasks and threads carry the context of the run that started them, and what a worker process
says arrives in the context of its task. So a library's lines count as well, as far as the logging configuration lets
them pass; `ctx.log` is kept from INFO up whatever the configuration says.

The handler stands in nobody's way: it takes no lock, and where no other handler hears a warning it does what logging
does then, which is to print it.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, Protocol  # Any: arguments of log calls

from msgspec.structs import replace

from mainspring.base import encode_json
from mainspring.jobs.model import LogLine, RunLog
from mainspring.runtime import message_of, safe_record
from mainspring.tools import find_secrets, secret_texts

KEPT_LEVEL: Final = logging.INFO  # from which on `ctx.log` is kept even if nobody else hears it
MAX_LINES: Final = 1_000  # of one attempt
MAX_BYTES: Final = 65_536  # of one attempt, about
MAX_MESSAGE: Final = 8_192  # characters of one line
_FIRST: Final = 100  # lines that are kept from the beginning
_LINE_BYTES: Final = 48  # what a line takes beside its words
_TRACES: Final = logging.Formatter()

_root: Final = logging.getLogger()
_taking: Final = threading.RLock()  # a signal handler may log in the middle of it


class Hearer(Protocol):
    """Who takes what is logged in a context: a run."""

    def take(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        ...

    def secrets(self) -> Collection[str]:
        """Return what must not be shown of it: the secrets of the run's config. Never waits; from any thread."""
        ...


_current: ContextVar[Hearer | None] = ContextVar("mainspring_run", default=None)


def hear(hearer: Hearer) -> None:
    """Let `hearer` take what the running context, and what it starts, logs from now on."""
    if _users and _handler not in _root.handlers:  # a new configuration of logging took it away
        _root.addHandler(_handler)
    _current.set(hearer)


def current_hearer() -> Hearer | None:
    """Return who takes what the running context logs: the run in whose handler the code is."""
    return _current.get()


def _secrets_of_run() -> Collection[str]:
    hearer = _current.get()
    return () if hearer is None else hearer.secrets()


class LogTail:
    """The lines of one attempt: the first ones and the newest, within bounds. Threads may add lines side by side."""

    __slots__ = ("_bytes", "_config", "_dropped", "_first", "_found", "_hides", "_last", "_secrets", "count")

    def __init__(self) -> None:
        self.count = 0  # of all that were ever taken
        self._first: list[LogLine] | None = None  # nothing is made for a run that says nothing
        self._last: deque[LogLine] | None = None
        self._bytes = 0
        self._dropped = 0
        self._config: Mapping[str, object] | None = None
        self._hides: Callable[[str], bool] | None = None
        self._found: Collection[str] = ()
        self._secrets: Collection[str] | None = None

    @property
    def conceals(self) -> bool:
        """Whether it knows a config."""
        return self._config is not None

    def conceal(self, config: Mapping[str, object], hides: Callable[[str], bool]) -> None:
        """Hide the secrets of this config, too, those whose keys `hides` tells; a handler may take them out of it."""
        if self._config is not None:
            self._found = self.secrets()
        self._config, self._hides, self._secrets = dict(config), hides, None

    def secrets(self) -> Collection[str]:
        """Return them; they are looked for when somebody asks for the first time."""
        secrets = self._secrets
        if secrets is None:
            config, hides = self._config, self._hides
            new = () if not config or hides is None else secret_texts(config, hides)
            secrets = self._secrets = {*self._found, *new}
        return secrets

    def take(self, record: logging.LogRecord) -> None:
        """Keep a record as a line."""
        line = _line_of(record)
        with _taking:
            self.count += 1
            if self._first is None or self._last is None:
                self._first, self._last = [], deque()
            self._bytes += _size(line)
            if len(self._first) < _FIRST and self._bytes <= MAX_BYTES // 4 and not self._last:
                self._first.append(line)
                return
            self._last.append(line)
            while self._bytes > MAX_BYTES or len(self._first) + len(self._last) > MAX_LINES:
                self._bytes -= _size(self._last.popleft())
                self._dropped += 1

    def log(self) -> RunLog | None:
        """Return the lines, None when there are none."""
        if self._first is None or self._last is None:
            return None
        with _taking:  # of a run that still runs, while a thread of it speaks
            return RunLog(lines=(*self._first, *self._last), dropped_count=self._dropped, first_count=len(self._first))

    def encoded(self, hide: Callable[[str], str] = str) -> bytes | None:
        """Return the lines as the store keeps them, None when there are none.

        Args:
            hide: returns what may be kept of a message.
        """
        log = self.log()
        if log is None:
            return None
        return encode_json(replace(log, lines=tuple(replace(one, message=hide(one.message)) for one in log.lines)))


def _line_of(record: logging.LogRecord) -> LogLine:
    trace = record.exc_text
    if not trace and record.exc_info and record.exc_info[0]:
        trace = _TRACES.formatException(record.exc_info)
    text = "\n".join(part for part in (message_of(record), trace, record.stack_info) if part)
    if len(text) > MAX_MESSAGE:
        text = f"{text[: MAX_MESSAGE // 4]}\n...\n{text[-MAX_MESSAGE * 3 // 4 :]}"
    text = text.encode("utf-8", "backslashreplace").decode()
    return LogLine(int(record.created * 1e6), record.levelname.lower(), record.name, text)


def _size(line: LogLine) -> int:
    return len(line.message) + len(line.logger) + _LINE_BYTES


class _CaptureHandler(logging.Handler):
    """Gives each record to the run in whose context it was made."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record, without the lock of other handlers."""
        hearer = _current.get()
        if hearer is not None:
            hearer.take(record)
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and _alone(record.name):
            last.handle(safe_record(record, with_fields=False))
        return True


def _alone(name: str) -> bool:
    """Tell whether no handler but ours hears a logger."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(one is not _handler for one in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


_handler: Final = _CaptureHandler()
_users = 0  # open apps


def install_capture() -> None:
    """Begin to hear; once for each app that opens."""
    global _users
    _users += 1
    find_secrets(_secrets_of_run)
    if _handler not in _root.handlers:
        _root.addHandler(_handler)


def remove_capture() -> None:
    """Hear no more once the last app has closed."""
    global _users
    _users -= 1
    if not _users:
        _root.removeHandler(_handler)


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """`ctx.log`: a logger whose records carry the run, wherever in the program they are made."""

    def __init__(self, logger: logging.Logger, ids: dict[str, object], tail: LogTail) -> None:
        super().__init__(logger, ids)
        self._tail = tail

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # the name logging calls
        """Tell whether a line of this level goes anywhere."""
        return level >= KEPT_LEVEL or self.logger.isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the ids to what the caller gave as `extra`."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line, and keep it for the record of the run."""
        if not self.isEnabledFor(level):
            return
        msg, kept = self.process(msg, kwargs)
        token = _current.set(self._tail)  # whoever calls, from whichever context
        try:
            if self.logger.isEnabledFor(level):
                self.logger.log(level, msg, *args, **{**kept, "stacklevel": kept.get("stacklevel", 1) + 1})
            else:
                self._keep(level, msg, args, kept)
        finally:
            _current.reset(token)

    def _keep(self, level: int, msg: object, args: tuple[object, ...], kept: MutableMapping[str, Any]) -> None:
        """Keep a line that the logging configuration does not want."""
        given = kept.get("exc_info")
        self._tail.take(self.logger.makeRecord(self.logger.name, level, "", 0, msg, args, _trace_of(given)))


def _trace_of(given: Any) -> Any:  # Any: what logging takes: True, an error, or the three parts of a traceback
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    return sys.exc_info() if given is True else given
