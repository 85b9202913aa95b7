"""Schedules that people put over those of the code, as the app's definitions show them while it is open."""

import logging
from collections.abc import Iterable, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mainspring.base import decode_json
from mainspring.errors import ConfigError, DecodeError, InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._registry import Registry
from mainspring.jobs.model import Schedule
from mainspring.jobs.stores import JobRegistration, JobRow

if TYPE_CHECKING:
    from mainspring.jobs.engine._work import Work

log = logging.getLogger(__name__)

_NONE: Final = b""  # other code has no schedule for a job


class Overrides:
    """Gives each job the schedule that the store has for it.

    Of two programs with different code on one store, the one that registered a job last says its schedule: else each
    would move the cursor by its own, and a job would have intervals of both.

    Args:
        works: what the node runs; its definitions are kept the same as those of the registry.
    """

    def __init__(self, registry: Registry, works: "MutableMapping[str, Work]") -> None:
        self._registry = registry
        self._works = works
        self._applied: dict[str, bytes | None] = {}
        self._registered: dict[str, bytes | None] = {}  # by job: the schedule of our code, once the store was told it

    def registered(self, jobs: Iterable[JobRegistration]) -> None:
        """Follow other code from now on: the store knows what ours says."""
        self._registered = {job.job_id: job.schedule for job in jobs}

    def apply(self, row: JobRow) -> JobDefinition | None:
        """Return a job as it is to be scheduled from now on; None for one that the app does not know."""
        definition = self._registry.definitions.get(row.job_id)
        spec = self._other_spec(row)
        if definition is None or self._applied.get(row.job_id) == spec:
            return definition
        self._applied[row.job_id] = spec
        try:
            schedule = None if not spec else read_schedule(spec, job_id=row.job_id)
        except ConfigError as error:
            log.warning("%s; the last good one stays", error)
            return definition
        definition = self._registry.override(row.job_id, schedule, unscheduled=spec == _NONE)
        if spec is not None and row.override is None:
            said = "has no schedule" if schedule is None else f"goes by {schedule.describe()}"
            log.warning("job %s %s: other code was started later, and says so", row.job_id, said)
        if row.job_id in self._works:  # else it was declared after the app was opened
            self._works[row.job_id] = replace(self._works[row.job_id], definition=definition)
        return definition

    def _other_spec(self, row: JobRow) -> bytes | None:
        """Return what is in force in the place of our code's schedule; None when that is."""
        if row.override is not None:
            return row.override
        own = self._registered.get(row.job_id)
        if own is None or row.schedule == own:  # code without a schedule does not know how to be given one
            return None
        return _NONE if row.schedule is None else row.schedule

    def forget(self) -> None:
        """Give each job the schedule of its code."""
        for job_id in self._applied:
            self._registry.override(job_id, None)


def read_schedule(spec: bytes, *, job_id: str) -> Schedule:
    """Return the schedule of a stored spec.

    Raises:
        ConfigError: somebody wrote what is none.
    """
    try:
        return Schedule.from_spec(decode_json(spec, dict[str, object]))
    except (DecodeError, InvalidArgumentError, KeyError, TypeError) as error:
        reason = f"no {error.args[0]!r} is given" if type(error) is KeyError else str(error)
        raise ConfigError(source=f"the stored schedule of job {job_id!r}", reason=reason) from error
