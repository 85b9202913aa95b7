"""Answers of a web server as files: one line of JSON that describes the answer, then its body.

A file is written beside its place and renamed into it, so a reader sees the old answer or the new one, never a
part; a file that is shorter than its first line says (a power cut can do that) counts as absent.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mainspring.base import current_clock, decode_json, encode_json, make_private_folder, new_id
from mainspring.errors import DecodeError

SUFFIX = ".fetched"  # what bounds the directory removes no other file
PART = ".part"
LATEST = 1e11  # seconds since 1970, some 3000 years: what no clock has said, and dates could not be made of
PART_AGE = 3600.0  # seconds after which a part belongs to nobody


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about a stored answer; `fetched_at` is in seconds since 1970."""

    url: str
    fetched_at: float
    length: int
    charset: str = "utf-8"
    etag: str = ""
    last_modified: str = ""


def read_answer(file: Path) -> tuple[Answer, bytes] | None:
    """Return a stored answer and its body, or None when there is no whole one."""
    try:
        head, _, body = file.read_bytes().partition(b"\n")
        answer = decode_json(head, Answer)
    except (FileNotFoundError, DecodeError):
        return None
    is_whole = len(body) == answer.length and 0 <= answer.fetched_at < LATEST
    return (answer, body) if is_whole else None


def write_answer(file: Path, answer: Answer, body: bytes) -> int:
    """Store an answer, replacing the one before; return the size of the file."""
    data = encode_json(asdict(answer)) + b"\n" + body
    part = file.with_name(f"{file.name}.{new_id()}{SUFFIX}{PART}")
    make_private_folder(file.parent)  # somebody may have removed it
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as out:
            out.write(data)
        os.replace(part, file)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
    return len(data)


def scan(folder: Path) -> list[tuple[str, int]]:
    """Return (name, size) of the stored answers, oldest first; remove what programs that died left behind."""
    found: list[tuple[float, str, int]] = []
    for entry in _entries(folder):
        facts = entry.stat()
        if entry.name.endswith(SUFFIX):
            found.append((facts.st_mtime, entry.name, facts.st_size))
        elif entry.name.endswith(SUFFIX + PART) and facts.st_mtime < current_clock().time() - PART_AGE:
            remove(folder / entry.name)
    return [(name, size) for _, name, size in sorted(found)]


def remove(file: Path) -> None:
    """Remove a file if it is there."""
    with suppress(FileNotFoundError):
        file.unlink()


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    make_private_folder(folder)
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_file(follow_symlinks=False))
