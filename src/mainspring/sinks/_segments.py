"""Records on disk: an append-only log in segments, each record with a checksum, that survives a kill at any moment.

A segment is a file `NNNNNNNNNN.seg`: records one after another, each `MARK, length, CRC-32, payload`. An opened log
never writes into an old segment, so a torn tail stays where it is and is skipped; after damaged bytes the reader
goes on at the next mark whose checksum is right. A payload is one of

    ["put", id, tries, reason, data]   data is kept under id; a later put of the same id moves it
    ["done", ids]                      they are forgotten
    ["failed", ids]                    one more try of each failed
    ["dead", ids, reason]              they are kept, and tried no more
    ["again", ids]                     they are tried from the beginning

Only the oldest segment may be deleted, once nothing in it is alive: a `done` that lies in a younger segment must not
go before the `put` that it ends.
"""

import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any, Final  # Any: records are lists of mixed parts

from mainspring.base import decode_msgpack, encode_msgpack, sync_path
from mainspring.errors import DecodeError, SpoolFullError

log = logging.getLogger(__name__)

MARK: Final = b"\xf5ms\x01"
SEGMENT_BYTES: Final = 4 << 20
_HEAD: Final = Struct(">4sII")


@dataclass(slots=True)
class Place:
    """Where a record's data lies, and how it stands."""

    segment: int
    offset: int
    length: int
    tries: int = 0
    dead: str | None = None


def frame(payload: bytes) -> bytes:
    """Return one record as it lies in a segment."""
    return _HEAD.pack(MARK, len(payload), zlib.crc32(payload)) + payload


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and payload of every whole record; what is damaged is skipped."""
    position = data.find(MARK)
    while position >= 0:
        payload = frame_at(data, position)
        if payload is None:
            position = data.find(MARK, position + 1)
        else:
            yield position, payload
            position = data.find(MARK, position + _HEAD.size + len(payload))


def frame_at(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the record at an offset, None if there is no whole one."""
    if len(data) < offset + _HEAD.size:
        return None
    mark, length, checksum = _HEAD.unpack_from(data, offset)
    payload = data[offset + _HEAD.size : offset + _HEAD.size + length]
    return payload if mark == MARK and len(payload) == length and zlib.crc32(payload) == checksum else None


class SegmentLog:
    """A log in a folder. Every method blocks; one thread at a time.

    Args:
        max_bytes: what all segments together may take.
    """

    def __init__(self, folder: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.places: dict[int, Place] = {}
        self.size = 0
        self._max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max(1, max_bytes // 4))
        self._sizes: dict[int, int] = {}
        self._next_id = 1
        self._number = 0
        self._file: int | None = None

    def open(self) -> None:
        """Read what is there."""
        self.look()
        self._drop_empty()

    def look(self) -> None:
        """Read what is there and change nothing: the log may be another process's, which goes on writing."""
        for path in sorted(self.folder.glob("[0-9]" * 10 + ".seg")):
            self._number = int(path.stem)
            self._scan(self._number, path.read_bytes())

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def put(self, contents: Sequence[bytes], *, tries: int = 0, replaces: Sequence[int] = ()) -> list[int]:
        """Keep some data, on disk when this returns; all of it or nothing, in place of `replaces`.

        Raises:
            SpoolFullError: there is no room.
            OSError: the disk refused.
        """
        ids = list(range(self._next_id, self._next_id + len(contents)))
        records: list[list[Any]] = [
            ["put", number, tries, None, data] for number, data in zip(ids, contents, strict=True)
        ]
        needed = sum(map(len, contents)) + 64 * len(contents)
        if self.size + needed > self._max_bytes:
            self._compact()
        if self.size + needed > self._max_bytes:
            raise SpoolFullError(folder=str(self.folder), size=self.size, max_bytes=self._max_bytes)
        if replaces:
            records.append(["done", list(replaces)])
        self._next_id += len(contents)
        self._append(records, durable=True)
        self._drop_empty()
        return ids

    def read(self, number: int) -> bytes | None:
        """Return the data of an id; None when it was forgotten or its bytes were damaged."""
        place = self.places.get(number)
        if place is None:
            return None
        with self._path(place.segment).open("rb") as file:
            file.seek(place.offset)
            payload = frame_at(file.read(place.length), 0)
        return None if payload is None else decode_msgpack(payload)[4]

    def done(self, ids: Iterable[int]) -> None:
        """Forget some ids."""
        self._note("done", ids)
        self._drop_empty()
        if self.size > self._max_bytes // 2:
            self._compact()

    def failed(self, ids: Iterable[int]) -> None:
        """Count one more try of some ids."""
        self._note("failed", ids)

    def bury(self, ids: Iterable[int], reason: str) -> None:
        """Keep some ids without trying them any more."""
        self._note("dead", ids, reason)

    def revive(self, ids: Iterable[int]) -> None:
        """Try some ids again, from the first try."""
        self._note("again", ids)

    def forget_missing(self) -> int:
        """Forget what lay in segments that somebody deleted; return how many ids that were."""
        missing = {number for number in self._sizes if not self._is_there(number)}
        if self._number in missing:
            self.close()
        for number in missing:
            self.size -= self._sizes.pop(number)
        lost = [number for number, place in self.places.items() if place.segment in missing]
        for number in lost:
            del self.places[number]
        return len(lost)

    def _is_there(self, number: int) -> bool:
        try:
            found = self._path(number).stat()
        except FileNotFoundError:
            return False
        return self._file is None or number != self._number or os.path.samestat(found, os.fstat(self._file))

    def _note(self, kind: str, ids: Iterable[int], *more: object) -> None:
        known = [number for number in ids if number in self.places]
        if known:
            self._append([[kind, known, *more]], durable=kind == "again")

    def _append(self, records: Sequence[list[Any]], *, durable: bool) -> None:
        """Write some records at once; nothing counts unless all are written."""
        parts = [frame(encode_msgpack(record)) for record in records]
        file = self._file
        if file is None or self._sizes[self._number] >= self._segment_bytes:
            file = self._turn_over()
        offset = self._sizes[self._number]
        try:
            _write(file, b"".join(parts), offset)
            if durable:
                os.fsync(file)
        except OSError:
            self._abandon(file, offset)
            raise
        for record, part in zip(records, parts, strict=True):
            self._apply(record, Place(self._number, offset, len(part)))
            offset += len(part)
        self.size += offset - self._sizes[self._number]
        self._sizes[self._number] = offset

    def _abandon(self, file: int, offset: int) -> None:
        """Take back what a failed write left; if that fails too, a reader may find some of its records."""
        with suppress(OSError):
            os.ftruncate(file, offset)
        self.close()  # the next record starts a segment

    def _turn_over(self) -> int:
        """Begin a segment and return its descriptor."""
        self.close()
        number = self._number + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._path(number), flags, 0o600)
        self._number, self._sizes[number] = number, 0
        sync_path(self.folder)
        return self._file

    def _scan(self, number: int, data: bytes) -> None:
        good = 0
        for offset, payload in frames(data):
            length = _HEAD.size + len(payload)
            try:
                self._apply(decode_msgpack(payload), Place(number, offset, length))
            except (DecodeError, LookupError, TypeError, ValueError):
                continue  # not a record of ours, though its checksum is right
            good += length
        if good < len(data):
            log.warning("spool %s: %d bytes of segment %d cannot be read", self.folder, len(data) - good, number)
        self._sizes[number] = len(data)
        self.size += len(data)

    def _apply(self, record: list[Any], place: Place) -> None:
        kind, subject = record[0], record[1]
        if kind == "put":
            place.tries, place.dead = record[2], record[3]
            self.places[subject] = place
            self._next_id = max(self._next_id, subject + 1)
            return
        for number in subject:
            known = self.places.get(number)
            if known is None:
                continue
            if kind == "done":
                del self.places[number]
            elif kind == "failed":
                known.tries += 1
            elif kind == "dead":
                known.dead = record[2]
            elif kind == "again":
                known.tries, known.dead = 0, None

    def _drop_empty(self) -> None:
        """Delete the oldest segments in which nothing is alive."""
        alive = {place.segment for place in self.places.values()}
        for number in sorted(self._sizes):
            if number in alive or (number == self._number and self._file is not None):
                return
            self._path(number).unlink(missing_ok=True)
            self.size -= self._sizes.pop(number)

    def _compact(self) -> None:
        """Move what is alive in the oldest segments to the end, as long as that makes room."""
        for number in sorted(self._sizes)[:-1]:
            alive = {one: place for one, place in self.places.items() if place.segment == number}
            if sum(place.length for place in alive.values()) > self._sizes[number] // 2:
                return
            records: list[list[Any]] = []
            for one, place in alive.items():
                data = self.read(one)
                if data is None:
                    log.error("spool %s: record %d is damaged and lost", self.folder, one)
                    del self.places[one]
                else:
                    records.append(["put", one, place.tries, place.dead, data])
            self._append(records, durable=True)
            self._drop_empty()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010}.seg"


def _write(file: int, data: bytes, offset: int) -> None:
    """Write all bytes; a full disk may take them in parts."""
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written
