"""How people steer the jobs of an app while it runs, or from another process: configs, pauses, schedules."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any  # Any: a config holds plain JSON

from mainspring.base import encode_json, from_us, to_us
from mainspring.errors import ConfigError, InvalidArgumentError
from mainspring.jobs.engine._configs import check_config, history_of
from mainspring.jobs.engine._declarations import Declarations, Job
from mainspring.jobs.engine._overrides import read_schedule
from mainspring.jobs.engine._plain import encoded_table
from mainspring.jobs.engine._registry import make_schedule
from mainspring.jobs.engine._results import ScheduleVersion
from mainspring.jobs.engine._scheduler import beginning_of, starts_of
from mainspring.jobs.engine._settings import OF_SETTINGS, AppSettings, SettingsSource
from mainspring.jobs.model import (
    ABSENT,
    ConfigChange,
    ConfigSchema,
    ConfigVersion,
    Retention,
    Schedule,
    check_needs,
    config_at,
    diff_config,
    effective_config,
    next_config,
    rollback_config,
    shown,
)
from mainspring.jobs.stores import JobRow, JobStore, ScheduleRow, SetSchedule
from mainspring.tools import MASK

if TYPE_CHECKING:
    from mainspring.jobs.engine._parts import OpenApp

_WHOLE_HISTORY = 10_000


class Steering(Declarations, ABC):
    """The steering half of a `JobApp`."""

    _settings: SettingsSource
    _retention: Retention | None

    @abstractmethod
    async def open(self, *, runner: bool = True, guest: bool = False) -> "OpenApp":
        """Open store and runner."""

    @abstractmethod
    def _make_store(self, settings: AppSettings) -> JobStore:
        """Return the app's store, not open yet."""

    async def put_config(
        self,
        job: Job,
        values: Mapping[str, Any],  # Any: as above
        *,
        merge: bool = False,
        effective_from: datetime | None = None,
        comment: str = "",
    ) -> ConfigVersion:
        """Store the next version of a job's config: the layer between the settings file and a call's own config.

        Runs that start from then on use it, on every node; those that have started keep theirs, also for retries.

        Args:
            values: all that the version holds, or with `merge` what differs from the one that would be in force when
                this one begins to count: None removes a key.
            effective_from: the instant from which it counts, aware; now unless given.

        Raises:
            UnknownJobError: the job is not registered.
            ConfigError: with these values the job's config does not fit its schema.
            InvalidArgumentError: `values` is no mapping, or has a number that JSON has not; or `effective_from` is no
                aware datetime.
            EncodeError: a value has no JSON form.
        """
        definition = self._registry[job]
        encoded_table("values", values)
        opened = await self.open()

        def make(history: Sequence[ConfigVersion]) -> ConfigVersion:
            now = from_us(opened.store.now())  # again when another version came first: that one is in force by now
            version = next_config(history, values, now=now, effective_from=effective_from, comment=comment)
            return _merged(history, version) if merge else version

        return await opened.configs.put(opened.store, definition, make, look_back=_WHOLE_HISTORY if merge else 1)

    async def rollback_config(self, job: Job, version: int, *, comment: str = "") -> ConfigVersion:
        """Store the values of an old version as the next one, in force from now on.

        Raises:
            UnknownJobError: the job is not registered.
            InvalidArgumentError: the job's history has no such version, or it cannot be used.
            ConfigError: with these values the job's config does not fit its schema.
        """
        definition = self._registry[job]
        opened = await self.open()
        make = partial(_rolled_back, version=version, now=from_us(opened.store.now()), comment=comment)
        return await opened.configs.put(opened.store, definition, make, look_back=_WHOLE_HISTORY)

    async def config_history(self, job: Job, *, before: int | None = None, limit: int = 50) -> Sequence[ConfigVersion]:
        """List the stored versions of a job's config, newest first; `before` is the last number seen."""
        definition = self._registry[job]
        return await history_of((await self.open()).store, definition.job_id, before=before, limit=limit)

    async def effective_config(self, job: Job, *, at: datetime | None = None) -> dict[str, object]:
        """Return the config that a run starting now would get here, or one starting `at` an instant as far as is known.

        As for a run: where what was set last cannot be used, what was good before it counts.

        Raises:
            ConfigError: nothing that is known of it fits the job's schema.
        """
        definition = self._registry[job]
        opened = await self.open()
        return (await opened.configs.in_force(definition, at=at or from_us(opened.store.now()))).values

    def unstored_config(self, job: Job) -> dict[str, object]:
        """Return the config that a run would get if nothing were stored: declaration and settings file.

        Raises:
            ConfigError: it does not fit the job's schema.
        """
        definition = self._registry[job]
        values = effective_config(declared=definition.config, file=self._settings.of_job(definition.job_id))
        check_config(definition, values, None)
        return values

    async def diff_config(self, job: Job, before: int, after: int) -> Sequence[ConfigChange]:
        """Return what changed between two stored versions of a job's config; secrets are replaced by stars.

        Raises:
            InvalidArgumentError: the job's history has no such version.
        """
        definition = self._registry[job]
        history = await history_of((await self.open()).store, definition.job_id, limit=_WHOLE_HISTORY)
        return config_changes(_version(history, before), _version(history, after), definition.schema)

    async def pause(self, job: Job) -> None:
        """Make and start no more scheduled runs of a job, on any node; those that run go on.

        Calls and backfills are not touched. What is missed meanwhile is dealt with at `resume` as `missed=` says.
        """
        await self._set_paused(job, True)

    async def resume(self, job: Job) -> None:
        """Go on after `pause`."""
        await self._set_paused(job, False)

    async def _set_paused(self, job: Job, paused: bool) -> None:
        opened = await self.open()
        await self._steer(opened, partial(opened.store.set_paused, self._registry[job].job_id, paused))

    async def set_schedule(
        self,
        job: Job,
        *,
        cron: str | None = None,
        every: float | None = None,
        at: datetime | None = None,
        timezone: str | None = None,
    ) -> None:
        """Let a job go by another schedule than that of its code, on every node, until `reset_schedule`.

        The first interval of the new schedule begins where the last one of the old schedule ended.

        Args:
            timezone: the zone of its wall clock; that of the job unless given.

        Raises:
            InvalidArgumentError: it is not exactly one schedule, or one that cannot be read.
            NeedsError: a job that needs this one could not wait for it any more.
        """
        opened = await self.open()
        definition = self._registry[job]
        zone = timezone or definition.timezone
        schedule = make_schedule(cron=cron, every=every, at=at, timezone=zone)
        if schedule is None:
            raise InvalidArgumentError(argument="schedule", value=None, expected="one of cron=, every=, at=")
        changed = replace(definition, schedule=schedule)
        jobs = {**self.jobs, definition.job_id: changed}
        check_needs({one.job_id: (one.schedule, one.needs) for one in jobs.values()}, starts=starts_of(jobs))
        now = from_us(opened.store.now())
        cursor = beginning_of(changed, schedule, now)
        command = SetSchedule(job_id=definition.job_id, override=encode_json(schedule.spec()), cursor=to_us(cursor))
        await self._steer(opened, partial(opened.store.set_schedule, command))

    async def reset_schedule(self, job: Job) -> None:
        """Let a job go by the schedule of its code again."""
        opened = await self.open()
        command = SetSchedule(job_id=self._registry[job].job_id, override=None)
        await self._steer(opened, partial(opened.store.set_schedule, command))

    async def schedule_history(
        self, job: Job, *, before: int | None = None, limit: int = 50
    ) -> Sequence[ScheduleVersion]:
        """List the versions of a job's schedule, newest first; `before` is the last number seen."""
        opened = await self.open()
        rows = await opened.store.schedules(self._registry[job].job_id, before=before, limit=limit)
        return [schedule_version(row) for row in rows]

    def kept(self) -> Retention:
        """Return which ended runs stay: as the app was told when it was made, else as its settings say now."""
        given = self._retention
        return self._settings.now().retention.retention() if given is None or given is OF_SETTINGS else given

    async def prune(self, retention: Retention | None = None) -> int:
        """Remove now what is not to be kept of the history of all jobs in the store; return how many runs.

        A few at a time: others hardly notice. What ended in the last ten minutes stays, and what an
        idempotency key names.

        Args:
            retention: what stays; that of the app unless given.
        """
        from mainspring.jobs.engine._retention import prune

        opened = await self.open()
        return await prune(opened.store, retention or self.kept())

    async def upgrade(self) -> tuple[int | None, int]:
        """Bring the store's schema up to date; return (the version that was there, or None without any; ours).

        Raises:
            StorageError: the store cannot be opened; the message says why.
        """
        store = self._make_store(self._settings.load())
        versions = await store.schema()
        await store.open()
        await store.close()
        return versions

    async def _steer(self, opened: "OpenApp", change: Callable[[], Awaitable[JobRow | None]]) -> None:
        """Change a job's row and go by it here at once; the job is registered first where it never was."""
        row = await change()
        if row is None:
            await opened.register()
            row = await change()
        if row is not None:
            opened.steered(row)


def schedule_version(row: ScheduleRow) -> ScheduleVersion:
    """Return a version of a schedule as people read it."""
    schedule: Schedule | None = None
    problem = None
    try:
        schedule = None if row.schedule is None else read_schedule(row.schedule, job_id=row.job_id)
    except ConfigError as error:
        problem = str(error)
    return ScheduleVersion(
        version=row.version,
        schedule=schedule,
        since=from_us(row.since),
        created_at=from_us(row.created_at),
        origin=row.origin,
        problem=problem,
    )


def config_changes(
    before: ConfigVersion, after: ConfigVersion, schema: ConfigSchema | None, *, hide: bool = True
) -> list[ConfigChange]:
    """Return what differs between two versions, as it may be shown unless `hide` is False."""
    changes = diff_config(before.values, after.values)
    return [_shown_change(change, schema) for change in changes] if hide else changes


def _shown_change(change: ConfigChange, schema: ConfigSchema | None) -> ConfigChange:
    *tables, key = change.key.split(".")
    above = "".join(f"{table}." for table in tables)

    def side(value: object) -> object:
        if value is ABSENT:
            return value
        hidden = any(MASK == shown({table: ""}, schema)[table] for table in tables)
        return MASK if hidden else shown({key: value}, schema, above=above)[key]

    return ConfigChange(change.key, side(change.before), side(change.after))


def _merged(history: Sequence[ConfigVersion], changes: ConfigVersion) -> ConfigVersion:
    """Return a version with what would be in force without it, and its own values over that; None removes a key."""
    before = config_at([one for one in history if one.problem is None], changes.effective_from)
    values = {**({} if before is None else before.values), **changes.values}
    return replace(changes, values={key: value for key, value in values.items() if value is not None})


def _rolled_back(history: Sequence[ConfigVersion], *, version: int, now: datetime, comment: str) -> ConfigVersion:
    known = next((one for one in history if one.version == version), None)
    if known is not None and known.problem is not None:
        raise InvalidArgumentError(argument="version", value=version, expected=f"another one: {known.problem}")
    return rollback_config(history, version, now=now, comment=comment)


def _version(history: Sequence[ConfigVersion], number: int) -> ConfigVersion:
    found = next((one for one in history if one.version == number), None)
    if found is None:
        known = f"one of {sorted(one.version for one in history)}" if history else "a stored version"
        raise InvalidArgumentError(argument="version", value=number, expected=known)
    return found
