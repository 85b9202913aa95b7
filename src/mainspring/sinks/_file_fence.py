"""Puts a finished file in place, unless a newer claim was there first."""

import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mainspring.base import decode_json, encode_json, sync_path, to_us
from mainspring.errors import DecodeError, SinkWriteError, StaleFenceError
from mainspring.sinks._transaction import SinkRun

_PART: Final = re.compile(r"-(\d+)\.part$")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Who wrote a file last."""

    job: str
    start: int
    fence: int
    run: str = ""


def move_under_fence(part: Path, target: Path, run: SinkRun) -> None:
    """Rename `part` to `target` durably; parts that older claims left are removed.

    A run without interval has no fence: the last one wins.

    Raises:
        StaleFenceError: a newer claim of the interval has written the target.
        SinkWriteError: the target holds another interval or another job's rows.
    """
    if run.interval_start is None:
        part.replace(target)
        sync_path(target.parent)
        return
    mark = _Mark(run.job_id, to_us(run.interval_start), run.fence, run.run_id)
    lock = os.open(_fence_of(target), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _check(_read(lock), target, run)
        os.pwrite(lock, encode_json(mark).ljust(os.fstat(lock).st_size), 0)
        os.fsync(lock)
        part.replace(target)
        sync_path(target.parent)
        _sweep(target, run.fence)
    finally:
        os.close(lock)


def was_written_for(target: Path, run: SinkRun) -> bool:
    """Tell whether a target is there that the run's job wrote for the run's interval."""
    try:
        lock = os.open(_fence_of(target), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        found = _read(lock)
    finally:
        os.close(lock)
    return found is not None and _is_of(found, run) and target.exists()


def _fence_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.fence")


def _is_of(mark: _Mark, run: SinkRun) -> bool:
    """Tell whether a mark is that of a run's job and interval."""
    start = run.interval_start
    return start is not None and mark.start == to_us(start) and mark.job in (run.job_id, *run.was)


def _read(lock: int) -> _Mark | None:
    try:
        return decode_json(os.pread(lock, 1 << 16, 0), _Mark)
    except DecodeError:
        return None  # new, or torn by a power cut: the claim that tore it did not rename


def _check(found: _Mark | None, target: Path, run: SinkRun) -> None:
    if found is None:
        return
    if not _is_of(found, run) and target.exists():
        raise SinkWriteError(
            sink=str(target),
            items=0,
            reason="the file holds another interval, or another job's rows",
            hint="let the path tell intervals and jobs apart: {start:...} as fine as the schedule, with %z where local "
            "hours come twice, and {job}",
        )
    if not run.comes_after(found.run, found.fence):
        raise StaleFenceError(run_id=run.run_id, fence=run.fence)


def _sweep(target: Path, fence: int) -> None:
    """Remove what claims left that died before they renamed."""
    for path in target.parent.iterdir():
        found = _PART.search(path.name) if path.name.startswith(f".{target.name}.") else None
        if found is not None and int(found[1]) < fence:
            path.unlink(missing_ok=True)
