"""Time zones as spans of constant offset, in whole seconds.

A `tzinfo` answers "which offset at this instant" and nothing else, so where the offset changes has to be
found. The time line is cut into blocks of about 388 days. A block is probed every 36 hours, and a change
between two probes is bisected to its second. In the whole tz database no two changes lie closer than 6.9 days,
so none can hide between two probes (`tests/property/test_zone_spans.py` checks that against the files).

A block costs about 0.3 ms once; afterwards a lookup is a few integer comparisons.
"""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from mainspring.base._instant import EPOCH

DAY = 86_400
_SECOND = timedelta(seconds=1)
# Two days inside the range of datetime, so that no offset can push an instant out of it.
FIRST_SECOND = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _SECOND + 2 * DAY
LAST_SECOND = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _SECOND - 2 * DAY

_FOREVER = 1 << 60
_BLOCK_BITS = 25
_PROBE_SECONDS = 1 << 17


class Span(NamedTuple):
    """From UTC second `start` up to `end`, local time is UTC plus `offset` seconds."""

    start: int
    end: int
    offset: int


def span_at(zone: tzinfo, second: int) -> Span:
    """Return the span that holds UTC `second`; the next one may have the same offset."""
    if isinstance(zone, timezone):
        return _whole(zone)
    spans = _block(zone, second >> _BLOCK_BITS)
    index = 0
    while second >= spans[index][1]:
        index += 1
    return spans[index]


@lru_cache(maxsize=64)
def _whole(zone: timezone) -> Span:
    """Return the one span of a fixed offset."""
    return Span(-_FOREVER, _FOREVER, _offset_at(zone, 0))


@lru_cache(maxsize=2048)
def _block(zone: tzinfo, block: int) -> tuple[Span, ...]:
    """Return the spans that tile one block, oldest first."""
    end = (block + 1) << _BLOCK_BITS
    start = probe = block << _BLOCK_BITS
    offset = _offset_at(zone, probe)
    spans: list[Span] = []
    while probe < end:
        later = probe + _PROBE_SECONDS
        offset_later = _offset_at(zone, later)
        if offset_later != offset:
            change = _change_between(zone, probe, later, offset)
            if change < end:
                spans.append(Span(start, change, offset))
                start, offset = change, offset_later
        probe = later
    spans.append(Span(start, end, offset))
    return tuple(spans)


def _change_between(zone: tzinfo, before: int, after: int, offset: int) -> int:
    """Return the first second in (before, after] at which the offset is no longer `offset`."""
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_at(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset_at(zone: tzinfo, second: int) -> int:
    second = min(max(second, FIRST_SECOND), LAST_SECOND)
    offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // _SECOND
