"""What lies in the spools of all processes under one root, read from outside and left as it is."""

from collections import Counter
from collections.abc import Mapping, Sequence
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
        dead: what is not tried any more, oldest first.
        size_bytes: what it takes on disk.
    """

    folder: Path
    is_held: bool
    waiting: Mapping[str, int]
    dead: Sequence[DeadLetter]
    size_bytes: int


def survey_spools(root: Path) -> list[SpoolSurvey]:
    """Look into every spool under a root; blocks. Empty when there is none.

    Raises:
        OSError: a folder cannot be read.
    """
    if not root.is_dir():
        return []
    folders = sorted(one for one in root.iterdir() if any(one.glob("*.seg")))
    return [_survey(folder) for folder in folders]


def _survey(folder: Path) -> SpoolSurvey:
    for _ in range(_TRIES):
        try:
            return _read(folder)
        except FileNotFoundError:
            continue
    return _read(folder)


def _read(folder: Path) -> SpoolSurvey:
    kept = SegmentLog(folder, max_bytes=1)  # nothing is written
    kept.look()
    waiting: Counter[str] = Counter()
    dead: list[DeadLetter] = []
    for number, place in sorted(kept.places.items()):
        letter = _letter(kept.read(number))
        if letter is None:
            continue
        if place.dead is None:
            waiting[letter.sink] += len(letter.items)
        else:
            dead.append(DeadLetter.of(number, letter, tries=place.tries, reason=place.dead, folder=folder.name))
    return SpoolSurvey(folder, is_held(folder), dict(waiting), dead, kept.size)


def _letter(data: bytes | None) -> Letter | None:
    try:
        return None if data is None else decode_letter(data)
    except DecodeError:
        return None
