"""Log records of child processes: formatted there as far as they must be, handled by the loggers here."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final  # Any: attributes of records

from mainspring.base import Flush, Send, child_talk
from mainspring.runtime._log_buffer import BufferedHandler, Entry

_FLUSH_SECONDS: Final = 0.05
_FLUSH_TIMEOUT: Final = 5.0
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_NOT_SENT: Final = frozenset({"args", "exc_info", "exc_text", "getMessage", "msg", "stack_info", "asctime", "message"})
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({})))
_TRACES: Final = logging.Formatter()
# Far below the longest frame that parents take: after a longer one they would hear no more of the child.
_MAX_PAYLOAD: Final = 1 << 20
_MAX_RECORD: Final = 1 << 22
_CUT_TO: Final = 1 << 14  # characters


def hear_children() -> None:
    """Let the records of children that are started from now on come to the loggers of this process."""
    child_talk.speaker = _speaker
    child_talk.listen = handle_records


def _speaker() -> "ChildLogs":
    return ChildLogs(logging.getLogger().level)


@dataclass(frozen=True, slots=True)
class ChildLogs:
    """What a child calls first: from then on its records travel to the parent. `level` is that of the parent's root."""

    level: int

    def __call__(self, send: Send) -> Flush:
        """Replace the handlers of the root logger; return what sends the records that still wait."""
        root = logging.getLogger()
        for old in tuple(root.handlers):  # a forked child has those of its parent
            root.removeHandler(old)
        handler = BufferedHandler(_Sender(send), flush_interval=_FLUSH_SECONDS)
        handler.start()  # now: an interruption of a task must not hit the start of the thread
        root.addHandler(handler)
        root.setLevel(self.level)
        sent = 0

        def flush() -> None:
            nonlocal sent
            if sent != handler.statistic.records:
                sent = handler.statistic.records
                handler.drain(_FLUSH_TIMEOUT)

        return flush


class _Sender(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def write_batch(self, batch: Sequence[Entry]) -> None:
        """Send the records, in several payloads if they are long."""
        import json  # most children say nothing

        for payload in _payloads([_encoded(record, json.dumps) for record, _ in batch]):
            self._send(payload)


def _payloads(records: Sequence[str]) -> Iterator[bytes]:
    """Join records to lists of at most `_MAX_PAYLOAD` bytes, or of a single record."""
    first, size = 0, 0
    for place, record in enumerate(records):
        if size and size + len(record) > _MAX_PAYLOAD:
            yield f"[{','.join(records[first:place])}]".encode()
            first, size = place, 0
        size += len(record) + 1
    yield f"[{','.join(records[first:])}]".encode()


def _encoded(record: logging.LogRecord, encode: Callable[[object], str]) -> str:
    """Return a record as JSON, in ASCII; one that is too long is cut, one that cannot be encoded says so."""
    try:
        text = encode(_fields_of(record))
        return text if len(text) <= _MAX_RECORD else encode(_cut(record))
    except Exception as error:  # noqa: BLE001  # supervisor: one record's fault is not the others'
        told = {name: value for name, value in vars(record).items() if name in _STANDARD and type(value) in _PLAIN}
        return encode({**told, "msg": f"a log record could not travel: {type(error).__name__}", "args": ()})


def _cut(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields without those that the caller added, and with short texts."""
    fields = {name: _shortened(value) for name, value in _fields_of(record).items() if name in _STANDARD}
    message, arguments = _message_of(record)
    return {**fields, "msg": _shortened(message % arguments if arguments else message), "args": ()}


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _CUT_TO:
        return f"{value[:_CUT_TO]}... ({len(value)} characters)"
    return value


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    fields = {
        name: value if type(value) in _PLAIN else repr(value)
        for name, value in vars(record).items()
        if name not in _NOT_SENT
    }
    fields["msg"], fields["args"] = _message_of(record)
    if record.exc_info and record.exc_info[0]:
        fields["exc_text"] = _TRACES.formatException(record.exc_info)
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    return fields


def _message_of(record: logging.LogRecord) -> tuple[str, object]:
    """Return the message and its arguments, if they travel as they are; else the message they make."""
    arguments = record.args
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001  # supervisor: a record whose message cannot be made says why
        return f"{record.msg!r} with {arguments!r} ({type(error).__name__}: {error})", ()
    if isinstance(record.msg, str) and isinstance(arguments, tuple) and all(type(one) in _PLAIN for one in arguments):
        return record.msg, arguments
    return message, ()


def handle_records(payload: bytes) -> None:
    """Give the records that a child sent to the loggers that they are for, if these let them pass. Never raises."""
    import json  # see above

    for fields in json.loads(payload):
        record = logging.makeLogRecord(fields)
        record.args = tuple(record.args or ())
        logger = logging.getLogger(record.name)
        try:
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        except Exception:  # noqa: BLE001  # supervisor: a filter that fails must not cut off the child
            if logging.raiseExceptions and sys.stderr is not None:
                traceback.print_exc(file=sys.stderr)
