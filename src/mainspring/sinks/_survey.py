"""What lies in the spools of all processes under one root, read from outside and left as it is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mainspring.errors import DecodeError
from mainspring.sinks._letters import DeadLetter, Letter, decode_letter
from mainspring.sinks._segments import SegmentLog
from mainspring.sinks._spool_folder import is_held

_TRIES: Final = 3  # the owner may delete a segment while it is read


@dataclass(frozen=True, slots=True)
class SpoolSurvey:
    """The spool of one process.

    Attributes:
        folder: where it lies.
        is_held: whether its process runs; nobody else may write there then.
        waiting: items that wait, by sink.
        dead: what is not tried any more, oldest first, with what has no sink any more.
        size_bytes: what it takes on disk.
    """

    folder: Path
    is_held: bool
    waiting: Mapping[str, int]
    dead: Sequence[DeadLetter]
    size_bytes: int


def survey_spools(root: Path, *, trouble: Callable[[str], str | None] = lambda _: None) -> list[SpoolSurvey]:
    """Look into every spool under a root; blocks. Empty when there is none.

    Args:
        trouble: tells of a sink's name why nothing can be written to it from the disk, as `SinkSet.trouble_of`
            does; None when it can.

    Raises:
        OSError: a folder cannot be read.
    """
    if not root.is_dir():
        return []
    folders = sorted(one for one in root.iterdir() if any(one.glob("*.seg")))
    return [_survey(folder, trouble) for folder in folders]


def _survey(folder: Path, trouble: Callable[[str], str | None]) -> SpoolSurvey:
    for _ in range(_TRIES):
        try:
            return _read(folder, trouble)
        except FileNotFoundError:
            continue
    return _read(folder, trouble)


def _read(folder: Path, trouble: Callable[[str], str | None]) -> SpoolSurvey:
    kept = SegmentLog(folder, max_bytes=1)  # nothing is written
    kept.look()
    waiting: Counter[str] = Counter()
    dead: list[DeadLetter] = []
    for number, place in sorted(kept.places.items()):
        letter = _letter(kept.read(number))
        if letter is None:
            continue
        reason = trouble(letter.sink) if place.dead is None else place.dead
        if reason is None:
            waiting[letter.sink] += len(letter.items)
        else:
            dead.append(DeadLetter.of(number, letter, tries=place.tries, reason=reason, folder=folder.name))
    return SpoolSurvey(folder, is_held(folder), dict(waiting), dead, kept.size)


def _letter(data: bytes | None) -> Letter | None:
    try:
        return None if data is None else decode_letter(data)
    except DecodeError:
        return None
