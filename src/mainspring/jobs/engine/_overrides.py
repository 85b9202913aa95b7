"""Schedules that people put over those of the code, as the app's definitions show them while it is open."""

import logging
from collections.abc import MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mainspring.base import decode_json
from mainspring.errors import ConfigError, DecodeError, InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._registry import Registry
from mainspring.jobs.model import Schedule
from mainspring.jobs.stores import JobRow

if TYPE_CHECKING:
    from mainspring.jobs.engine._execution import Work

log = logging.getLogger(__name__)


class Overrides:
    """Gives each job the schedule that the store has for it.

    Args:
        works: what the node runs; its definitions are kept the same as those of the registry.
    """

    def __init__(self, registry: Registry, works: "MutableMapping[str, Work]") -> None:
        self._registry = registry
        self._works = works
        self._applied: dict[str, bytes | None] = {}

    def apply(self, row: JobRow) -> JobDefinition | None:
        """Return a job as it is to be scheduled from now on; None for one that the app does not know."""
        definition = self._registry.definitions.get(row.job_id)
        if definition is None or self._applied.get(row.job_id) == row.override:
            return definition
        self._applied[row.job_id] = row.override
        try:
            schedule = None if row.override is None else read_schedule(row.override, job_id=row.job_id)
        except ConfigError as error:
            log.warning("%s; the last good one stays", error)
            return definition
        definition = self._registry.override(row.job_id, schedule)
        if row.job_id in self._works:  # else it was declared after the app was opened
            self._works[row.job_id] = replace(self._works[row.job_id], definition=definition)
        return definition

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
