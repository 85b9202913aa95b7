"""Offset changes found by probing equal those that the zone itself shows, in every zone."""

import struct
from datetime import UTC, datetime, timedelta, tzinfo
from io import BytesIO
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.property.support_cron_oracle import ZONES, file_of, utc

from mainspring.base._zone_spans import _PROBE_SECONDS, span_at


def changes_in_file(name: str) -> list[int]:
    """Return the UTC seconds at which the offset changes, read from the tz database itself."""
    data = file_of(name)

    def header(at: int) -> tuple[int, ...]:
        return struct.unpack(">6l", data[at + 20 : at + 44])

    _, standard, leap, times, types, characters = header(0)
    at = 44 + times * 5 + types * 6 + characters + leap * 8 + 2 * standard
    *_, times, types, _ = header(at)
    at += 44
    when = struct.unpack(f">{times}q", data[at : at + 8 * times])
    kinds = data[at + 8 * times : at + 9 * times]
    at += 9 * times
    offsets = [struct.unpack(">l", data[at + 6 * kind : at + 6 * kind + 4])[0] for kind in range(types)]
    found: list[int] = []
    offset = offsets[0]
    for second, kind in zip(when, kinds, strict=True):
        if offsets[kind] != offset:
            found.append(second)
            offset = offsets[kind]
    return found


def test_no_two_changes_are_closer_than_the_probes() -> None:
    closest = min(later - earlier for name in ZONES for earlier, later in pairwise(changes_in_file(name)))
    assert closest > 3 * _PROBE_SECONDS


def spans_between(zone: tzinfo, start: int, end: int) -> list[tuple[int, int]]:
    """Return `(first second, offset)` of each stretch of one offset."""
    found: list[tuple[int, int]] = []
    at = start
    while at < end:
        span = span_at(zone, at)
        assert span.start <= at < span.end
        if not found or found[-1][1] != span.offset:
            found.append((max(span.start, start), span.offset))
        at = span.end
    return found


def test_every_change_is_found_in_every_zone() -> None:
    start, end = round(utc(1993).timestamp()), round(utc(2000).timestamp())
    for name in ZONES:
        expected = [second for second in changes_in_file(name) if start < second < end]
        zone = ZoneInfo.from_file(BytesIO(file_of(name)))
        found = [second for second, _ in spans_between(zone, start, end)][1:]
        # A file ends with a rule for all later years, so more may be found than it lists.
        assert expected == found[: len(expected)], name


def test_offset_is_what_the_zone_says() -> None:
    for name in ZONES:
        zone = ZoneInfo(name)
        for year in (1900, 1944, 1993, 2011, 2026):
            instant = datetime(year, 7, 1, 12, tzinfo=UTC)
            span = span_at(zone, round(instant.timestamp()))
            assert instant.astimezone(zone).utcoffset() == timedelta(seconds=span.offset), name
