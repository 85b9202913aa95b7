"""The done-set of a job as every store keeps it: disjoint ranges, neighbours of one state merged.

A state covers what is weaker than itself: succeeded over failed over skipped. A later failure does not take a
success back, whose rows still stand; a skipped range never hides what happened.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from mainspring.jobs.model import RangeSet

Range = tuple[int, int, str]

MOST_SKIP_RECORDS: Final = 16
"""Records of one skipped range, which has as many parts as lie between what is done: the last one is over the rest."""

STRENGTH = {"skipped": 1, "failed": 2, "succeeded": 3}


def joined_marks(marks: Iterable[tuple[str, int, int, str]]) -> Iterator[tuple[str, Range]]:
    """Join adjacent (job id, start, end, state) marks of a job, and leave out the empty ones."""
    by_job: dict[str, list[Range]] = {}
    for job_id, start, end, state in marks:
        if start < end:
            by_job.setdefault(job_id, []).append((start, end, state))
    for job_id, ranges in by_job.items():
        for one in join(sorted(ranges)):
            yield job_id, one


def painted(touching: list[Range], mark: Range) -> list[Range]:
    """Return what stands in place of the known ranges that touch a mark, once it is painted over them."""
    return join(overlay(touching, mark))


def overlay(known: list[Range], mark: Range) -> list[Range]:
    """Return disjoint sorted ranges that cover `known` and `mark`, the stronger state where they overlap."""
    start, end, state = mark
    result: list[Range] = []
    free_from = start
    for known_start, known_end, known_state in known:
        stronger = STRENGTH[known_state] > STRENGTH[state]
        if stronger and known_start < end and known_end > start:
            if free_from < known_start:
                result.append((free_from, known_start, state))
            result.append((known_start, known_end, known_state))
            free_from = max(free_from, known_end)
            continue
        if known_start < start:
            result.append((known_start, min(known_end, start), known_state))
        if known_end > end:
            result.append((max(known_start, end), known_end, known_state))
    if free_from < end:
        result.append((free_from, end, state))
    return sorted(result)


def join(ranges: list[Range]) -> list[Range]:
    """Merge neighbours of one state; `ranges` are sorted, and overlap only in the same state."""
    joined: list[Range] = []
    for start, end, state in ranges:
        if joined and joined[-1][1] >= start and joined[-1][2] == state:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), state)
        else:
            joined.append((start, end, state))
    return joined


def parts_to_skip(touching: Iterable[Range], span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the parts of a range that are not done in any way: those a record of what was skipped is about."""
    parts = list(RangeSet((start, end) for start, end, _ in touching).gaps(*span))
    if len(parts) > MOST_SKIP_RECORDS:
        parts[MOST_SKIP_RECORDS - 1 :] = [(parts[MOST_SKIP_RECORDS - 1][0], parts[-1][1])]
    return parts


def unbroken_end(ranges: Iterable[Range]) -> int | None:
    """Return the end of the unbroken beginning of what succeeded or was skipped; None without any range.

    `ranges` are sorted; no more of them are taken than needed.
    """
    end: int | None = None
    for start, stop, state in ranges:
        if end is None:
            end = start
        if start > end or state == "failed":
            break
        end = max(end, stop)
    return end
