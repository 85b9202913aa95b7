"""What the record keeps of how an attempt ended: the value, or the error, as text and JSON of bounded size."""

import logging
import traceback
from collections.abc import Callable
from typing import Final, TypedDict

from mainspring.base import encode_json
from mainspring.errors import MainspringError, SinkWriteError
from mainspring.jobs.engine._plain import odd_number
from mainspring.jobs.stores import EventKind, Happened, happened

log = logging.getLogger(__name__)

MESSAGE_LIMIT: Final = 4_096  # characters of an error's message that the record keeps
DETAIL_LIMIT: Final = 16_384  # characters of a traceback that the record keeps, its end
VALUE_LIMIT: Final = 65_536  # bytes of a handler's value as JSON that the record keeps
NO_INTERVAL: Final = "hint: this run has no data interval; scheduled runs and those of a backfill have one"


class ErrorFacts(TypedDict):
    """The fields of a record that tell of an error."""

    error_type: str
    error_message: str
    error_detail: str


def describe_error(error: BaseException, hide: Callable[[str], str] = str) -> ErrorFacts:
    """Return what the record keeps of an error, as text that any store takes.

    Args:
        hide: returns what may be kept of a text.
    """
    told = traceback.TracebackException.from_exception(error)
    kind = type(error).__qualname__
    notes = getattr(error, "__notes__", ())
    message = "\n".join((str(told) or kind, *(str(note) for note in notes)))
    return {
        "error_type": kind[:128],
        "error_message": hide(_storable(message))[:MESSAGE_LIMIT],
        "error_detail": hide(_storable("".join(told.format())))[-DETAIL_LIMIT:],
    }


def explain(error: BaseException, *, has_interval: bool) -> None:
    """Add to an error what a handler that was given no interval seldom says itself: it took an attribute of None."""
    if not has_interval and isinstance(error, AttributeError | TypeError):
        error.add_note(NO_INTERVAL)


def sink_failures(error: BaseException) -> tuple[Happened, ...]:
    """Return what is to be noted of an error: that a sink did not take items."""
    if not isinstance(error, SinkWriteError):
        return ()
    return (happened(EventKind.SINK_FAILED, sink=error.sink, items=error.items),)


def _storable(text: str) -> str:
    """Escape lone surrogates, as they come with the names of odd files."""
    return text.encode("utf-8", "backslashreplace").decode()


def encode_value(job_id: str, value: object) -> bytes | None:
    """Return the handler's value as JSON; one that JSON cannot say, or too large, is left out, with a warning."""
    if value is None:
        return None
    try:
        data = encode_json(value)
        odd = odd_number(value, data)
    except (MainspringError, TypeError, ValueError) as error:
        log.warning("job %s returned a %s, which is not kept: %s", job_id, type(value).__name__, error)
        return None
    if odd is not None:
        place, number = odd
        log.warning("job %s returned %s%s, which is no JSON and not kept", job_id, number, place and f" at {place}")
        return None
    if len(data) > VALUE_LIMIT:
        log.warning("job %s returned %d bytes, more than are kept", job_id, len(data))
        return None
    return data
