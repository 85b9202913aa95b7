"""Options of `@job` that cannot stand together, or that would do nothing beside one another."""

import inspect
from collections.abc import Mapping
from typing import Any, Final  # Any: options hold any value

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.engine._definition import SUPPLIED, HandlerForm, JobDefinition, form_of
from mainspring.jobs.model import Missed

_OF_SCHEDULES: Final = (
    "timezone",
    "start_at",
    "delay",
    "jitter",
    "missed",
    "max_lookback",
    "misfire_grace_time",
    "coalesce",
    "stateful",
    "backfill_policy",
    "needs",
    "depends_on_past",
    "max_instances",
    "overlap",
    "concurrency_key",
    "sla",
)


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
    if definition.sink is not None and not _can_emit(definition):
        expected = (
            "a handler that yields its items, takes ctx to emit them, or returns them from a worker process "
            "(executor='process'); this one does none of these"
        )
        raise InvalidArgumentError(argument="sink", value=definition.sink, expected=expected, hint="yield each item")
    if definition.job_id in definition.was:
        expected = "earlier ids, without the one that the job has now"
        raise InvalidArgumentError(argument="was", value=list(definition.was), expected=expected)


def _can_emit(definition: JobDefinition) -> bool:
    """Tell whether a handler has a way to its sink.

    That is `yield` (behind other decorators too), `ctx`, a resource that may have been given `ctx`, or in a worker
    process what it returns.
    """
    form = form_of(inspect.unwrap(definition.function), job_id=definition.job_id)
    if form in (HandlerForm.GENERATOR, HandlerForm.ASYNC_GENERATOR) or definition.runs_in == "process":
        return True
    return bool(inspect.signature(definition.function).parameters.keys() - (SUPPLIED - {"ctx"}))


def _refuse_beside_past(definition: JobDefinition, given: Mapping[str, Any]) -> None:
    if definition.schedule is not None and not definition.schedule.has_intervals:
        expected = "a job with intervals: with cron= or every="
        raise InvalidArgumentError(argument="depends_on_past", value=True, expected=expected)
    alone = "beside depends_on_past=True, whose runs go one after the other"
    if definition.overlap != "queue":
        raise InvalidArgumentError(argument="overlap", value=definition.overlap, expected=f"'queue' {alone}")
    if definition.max_instances > 1:
        raise InvalidArgumentError(argument="max_instances", value=given.get("max_instances"), expected=f"1 {alone}")


def refuse_idle(options: Mapping[str, Any]) -> None:
    """Refuse options that would do nothing beside the others.

    Raises:
        InvalidArgumentError: names one of them, and what it takes.
    """
    if all(options.get(name) is None for name in ("cron", "every", "at")):
        idle = next((name for name in _OF_SCHEDULES if options.get(name) not in (None, (), [])), None)
        if idle is not None:
            raise InvalidArgumentError(
                argument=idle, value=options[idle], expected="a job with cron=, every= or at=; without it has no effect"
            )
    if options.get("at") is not None and options.get("timezone") is not None:
        raise InvalidArgumentError(argument="timezone", value=options["timezone"], expected="no zone beside at=")
    if options.get("overlap") == "allow":
        for name in ("max_instances", "concurrency_key"):
            if options.get(name) is not None:
                raise InvalidArgumentError(
                    argument=name, value=options[name], expected="overlap='queue'; 'allow' lifts every limit"
                )
