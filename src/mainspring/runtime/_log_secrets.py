"""What logs show in the place of secrets: stars.

Records stay as they are for handlers of others; those of the formats here write a copy. Secrets are looked for when a
record is written, and only in programs that have some: those that credentials hold, and those that the context in which
the record was made knows of, as the config of a job's run.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final, cast

from mainspring.runtime._log_format import LogBlock, message_of, repr_of
from mainspring.tools import MASK, known_secrets, with_stars

_TRACES: Final = logging.Formatter()
_PLAIN: Final = frozenset({int, float, complex})
_HARMLESS: Final = frozenset({bool, type(None)})
_DEEPEST: Final = 100  # levels of a value that are looked at one by one
# Set by logging itself, of the code that logs; `args` and `msg` are looked at with the message.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"taskName", "getMessage", "message", "asctime"}


class _TooDeepError(Exception):
    """A value is inside of itself, or nearly."""


def safe_record(record: logging.LogRecord, *, with_fields: bool, with_locals: bool = False) -> logging.LogRecord:
    """Return a record that shows no secret: itself when it shows none.

    Args:
        with_fields: what becomes of it shows arguments and further attributes one by one, not only the message.
        with_locals: it shows the variables of a traceback, which is replaced by its text.
    """
    secrets = known_secrets()
    if not secrets:
        return record
    facts = dict(vars(record))
    facts.pop("getMessage", None)
    message = message_of(record)
    changes = _changed_message(record, message, secrets)
    trace = _trace_of(record)
    shown = with_stars(trace, secrets)
    if shown != trace or (with_locals and record.exc_info):
        changes |= {"exc_info": None, "exc_text": shown}
    if record.stack_info and (stack := with_stars(record.stack_info, secrets)) != record.stack_info:
        changes["stack_info"] = stack
    if with_fields:
        fields = {name: value for name, value in facts.items() if name not in _STANDARD}
        changes |= {name: left for name, value in fields.items() if (left := _value(value, secrets)) is not value}
        changes |= _changed_arguments(record, with_stars(message, secrets), secrets)
    return logging.makeLogRecord({**facts, **changes}) if changes else record


def _changed_message(record: logging.LogRecord, message: str, secrets: Sequence[str]) -> dict[str, object]:
    shown = with_stars(message, secrets)
    if shown == message:
        return {}
    is_block = isinstance(record.msg, LogBlock) and not record.args
    return {"msg": LogBlock(shown) if is_block else shown, "args": ()}


def _changed_arguments(record: logging.LogRecord, shown: str, secrets: Sequence[str]) -> dict[str, object]:
    """Return template and arguments without secrets, if they still make the message that is `shown`."""
    template, arguments = _value(record.msg, secrets), _value(record.args, secrets)
    if template is record.msg and arguments is record.args:
        return {}
    try:
        made = str(template) % arguments if arguments else str(template)
    except (TypeError, ValueError, KeyError):  # stars are no number
        made = None
    return {"msg": template, "args": arguments} if made == shown else {"msg": shown, "args": ()}


def _trace_of(record: logging.LogRecord) -> str:
    if record.exc_text:
        return record.exc_text
    return _TRACES.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


def _value(value: object, secrets: Sequence[str]) -> object:
    """Return a value without secrets: itself when it shows none."""
    try:
        return _within(value, secrets, _DEEPEST)
    except _TooDeepError:  # a value inside of itself
        return with_stars(repr_of(value), secrets)


def _within(value: object, secrets: Sequence[str], levels: int) -> object:
    """Look into a value, this many levels deep: where the interpreter gives up, finalizers would fail as well."""
    if not levels:
        raise _TooDeepError
    if type(value) in _HARMLESS:
        return value
    if type(value) in _PLAIN:
        return MASK if repr_of(value) in secrets else value
    whole: object = value
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)  # cast: isinstance leaves its items unknown
        entries = list(table.items())  # its owner may go on with it
        left = {key: _within(one, secrets, levels - 1) for key, one in entries}
        return whole if all(left[key] is one for key, one in entries) else left
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)  # cast: as above
        others = [_within(one, secrets, levels - 1) for one in items]
        if all(one is other for one, other in zip(items, others, strict=True)):
            return whole
        return tuple(others) if isinstance(whole, tuple) else others
    text = value if isinstance(value, str) else repr_of(value)
    shown = with_stars(text, secrets)
    if shown == text:
        return value
    return LogBlock(shown) if isinstance(value, LogBlock) else shown
