"""Dead letters of a running process, tried again or deleted because another process asks for it.

The spool of a process is its own: only it writes there. Whoever wants something done with its dead letters (the command
line, mostly) puts a file into its folder, which it takes away and obeys. The spool of a process that has ended is
nobody's, and is changed by whoever holds its lock meanwhile.
"""

import os
from pathlib import Path
from typing import Final, Literal

from mainspring.base import decode_json, encode_json, new_id
from mainspring.errors import DecodeError
from mainspring.sinks._delivery import SPOOL_BYTES
from mainspring.sinks._segments import SegmentLog
from mainspring.sinks._spool_folder import take_lock

REQUEST_INTERVAL: Final = 2.0  # seconds between two looks for requests

Wish = Literal["replay", "drop"]


def ask_for_replay(folder: Path, ids: list[int] | None) -> None:
    """Ask the process that owns a spool's folder to try dead letters again, all of them by default.

    Raises:
        OSError: the folder cannot be written to.
    """
    _ask(folder, ids, "replay")


def drop_letters(folder: Path, ids: list[int]) -> bool:
    """Delete dead letters from the spool in a folder, or ask the process that owns it; tell whether they are gone now.

    Raises:
        OSError: the folder cannot be written to.
    """
    lock = take_lock(folder)
    if lock is None:
        _ask(folder, ids, "drop")
        return False
    kept = SegmentLog(folder, max_bytes=SPOOL_BYTES)
    try:
        kept.open()
        kept.done(ids)
    finally:
        kept.close()
        os.close(lock)
    return True


def _ask(folder: Path, ids: list[int] | None, wish: Wish) -> None:
    draft = folder / f".{new_id()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(encode_json(ids))
    draft.rename(folder / f"{draft.name[1:]}.{wish}")


def take_requests(folder: Path, *, wish: Wish = "replay") -> list[list[int] | None]:
    """Return what was asked for since the last time; None in the list means all dead letters.

    Raises:
        OSError: a request cannot be read, and there is no other.
    """
    found: list[list[int] | None] = []
    failure: OSError | None = None
    for path in sorted(folder.glob(f"*.{wish}")):
        try:
            data = path.read_bytes()
            path.unlink()
        except OSError as error:
            failure = error
            continue  # it stays; those that were taken away are to be met all the same
        try:
            found.append(decode_json(data, list[int] | None))
        except DecodeError:
            continue  # no request of ours
    if failure is not None and not found:
        raise failure
    return found
