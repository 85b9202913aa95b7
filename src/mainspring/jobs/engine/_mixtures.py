"""Options of `@job` that cannot stand together, or that would do nothing beside one another."""

from collections.abc import Mapping
from typing import Any  # Any: options hold any value

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.model import Missed


def refuse_mixtures(definition: JobDefinition, given: Mapping[str, Any]) -> None:
    """Look at a definition beside the options as they were written.

    Raises:
        InvalidArgumentError: two of them contradict each other; names one of them and what it takes.
    """
    if definition.depends_on_past:
        _refuse_beside_past(definition, given)
    if definition.overlap == "skip" and definition.missed is Missed.ALL:
        expected = "'queue' beside missed='all': intervals that are caught up overlap, and would be skipped"
        raise InvalidArgumentError(argument="overlap", value="skip", expected=expected)
    if definition.job_id in definition.was:
        expected = "earlier ids, without the one that the job has now"
        raise InvalidArgumentError(argument="was", value=list(definition.was), expected=expected)


def _refuse_beside_past(definition: JobDefinition, given: Mapping[str, Any]) -> None:
    if definition.schedule is not None and not definition.schedule.has_intervals:
        expected = "a job with intervals: with cron= or every="
        raise InvalidArgumentError(argument="depends_on_past", value=True, expected=expected)
    alone = "beside depends_on_past=True, whose runs go one after the other"
    if definition.overlap != "queue":
        raise InvalidArgumentError(argument="overlap", value=definition.overlap, expected=f"'queue' {alone}")
    if definition.max_instances > 1:
        raise InvalidArgumentError(argument="max_instances", value=given.get("max_instances"), expected=f"1 {alone}")


def refuse_plain_text(given: Mapping[str, Any]) -> None:
    """Refuse one text where several are meant: it would be taken for its letters.

    Raises:
        InvalidArgumentError: `needs`, `tags` or `was` is a text.
    """
    for name in ("needs", "tags", "was"):
        value = given.get(name)
        if isinstance(value, str):
            raise InvalidArgumentError(argument=name, value=value, expected=f"a list, as [{value!r}]")
