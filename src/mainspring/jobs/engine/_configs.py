"""The config of runs: the declaration, the settings file, the stored version that a run keeps, and its call.

A node reads a version from the store when a run needs it, and again after any change of the catalogue: so an edit by
hand is seen with the next heartbeat, and one that was made through this app at once. What does not fit the job's
schema is not used: the last good one stays, with a warning for each new reason.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from typing import Any, Final  # Any: a config holds plain JSON

from mainspring.base import current_clock, decode_json, encode_json, from_us, to_us
from mainspring.errors import ConfigError, DecodeError, InvalidArgumentError
from mainspring.jobs.engine._definition import JobDefinition
from mainspring.jobs.engine._settings import SettingsSource
from mainspring.jobs.model import ConfigVersion, effective_config
from mainspring.jobs.stores import ConfigRow, JobStore, ReadStore, RunRecord

log = logging.getLogger(__name__)

_KEPT: Final = 1_000  # versions in memory: those of runs that start now
_NO_INSTANT: Final = datetime.max.replace(tzinfo=UTC)  # shown for one that is none
_OLDER: Final = 50  # versions that are tried when the one that is wanted cannot be used


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What one attempt works with: the plain dict, and the instance of the job's schema if it has one."""

    values: dict[str, object]
    instance: object = None


@dataclass(frozen=True, slots=True)
class ConfigInForce:
    """What a run gets.

    Attributes:
        version: the number of the stored version in it; None for none.
        problem: why what was set last is not used, but what was good before it; None when it is.
    """

    values: dict[str, object]
    version: int | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Usable:
    """A config that fits, what it is made of, and why nothing newer is."""

    config: RunConfig
    stored: ConfigVersion | None
    file: Mapping[str, Any]  # Any: as above
    problems: Sequence[ConfigError]


class JobConfigs:
    """The configs of an app's jobs, as its nodes use them."""

    __slots__ = ("_changes", "_complaints", "_fresh", "_good", "_good_files", "_settings", "_store")

    def __init__(self, store: ReadStore, settings: SettingsSource) -> None:
        self._store = store
        self._settings = settings
        self._good: dict[tuple[str, int], ConfigVersion] = {}  # by job and number: the last that could be used
        self._fresh: set[tuple[str, int]] = set()  # those of them that are as the store has them
        self._good_files: dict[str, Mapping[str, Any]] = {}  # by job; Any: as above
        self._complaints: dict[str, str] = {}  # by job
        self._changes = 0

    def changed(self) -> None:
        """Read versions again before they are used: something in the store has changed."""
        self._changes += 1
        self._fresh.clear()

    async def of_run(self, definition: JobDefinition, record: RunRecord) -> RunConfig:
        """Return the effective config of a run.

        Raises:
            ConfigError: nothing that is known of it fits the job's schema.
        """
        if not record.config_version and definition.schema is None:
            return RunConfig(self.plain(definition, record))
        number, call = record.config_version or 0, _call_of(record)
        changes, now = self._changes, current_clock().now()
        found = await self._usable(definition, number, call, at=now)
        self._remember(definition.job_id, found, is_fresh=not found.problems and changes == self._changes)
        self._complain(definition.job_id, found.problems)
        return found.config

    async def in_force(self, definition: JobDefinition, *, at: datetime) -> ConfigInForce:
        """Return what a run without a config of its own gets that starts at an instant, as far as is known.

        Raises:
            ConfigError: nothing that is known of it fits the job's schema.
        """
        found = await self._usable(definition, await self._number(definition.job_id, at), None, at=at)
        number = None if found.stored is None else found.stored.version
        return ConfigInForce(found.config.values, number, str(found.problems[0]) if found.problems else None)

    async def check_call(self, definition: JobDefinition, given: bytes | None) -> None:
        """Refuse the config of a call with which no run of the job could begin, if it could without.

        Args:
            given: the config as the store keeps it.

        Raises:
            ConfigError: it does not fit the job's schema.
        """
        if given is None or definition.schema is None:
            return
        call = decode_json(given, dict[str, object])
        file = self._settings.of_job(definition.job_id)
        try:
            check_config(definition, effective_config(declared=definition.config, file=file, call=call), None)
        except ConfigError:  # what is stored may make it whole
            now = current_clock().now()
            try:
                await self._usable(definition, await self._number(definition.job_id, now), call, at=now)
            except ConfigError as error:
                if error.source == _source_of_call(definition.job_id):
                    raise

    async def _usable(
        self, definition: JobDefinition, number: int, call: Mapping[str, object] | None, *, at: datetime
    ) -> "_Usable":
        """Return the first of what a run could use that fits: the wanted version, older ones, none.

        Raises:
            ConfigError: nothing does; it names the call when that is to blame, else what was wanted.
        """
        job_id, problems = definition.job_id, list[ConfigError]()
        file = self._settings.of_job(job_id)
        for find in (self._wanted, partial(self._older, at=at), _none):
            found = await find(job_id, number, problems)
            for stored, layer in product(found, self._files(job_id, file)):
                values = effective_config(declared=definition.config, file=layer, stored=stored, call=call)
                try:
                    instance = check_config(definition, values, stored)
                except ConfigError as error:
                    problems.append(error)
                    continue
                return _Usable(RunConfig(values, instance), stored, layer, problems)
        if call:
            fits = await self._usable(definition, number, None, at=at)
            values = effective_config(declared=definition.config, file=fits.file, stored=fits.stored, call=call)
            check_config(definition, values, fits.stored, source=_source_of_call(job_id))
        raise problems[0]

    async def _number(self, job_id: str, at: datetime) -> int:
        """Return the version that a store gives to a run that starts at an instant, usable or not; 0 for none."""
        before: int | None = None
        while rows := await self._store.configs(job_id, before=before, limit=_OLDER):
            for row in rows:
                if _has_come(row.effective_from, to_us(at)):
                    return row.version
            before = rows[-1].version
        return 0

    def used(self, record: RunRecord) -> ConfigVersion | None:
        """Return the stored version that a run of this node has used, if it is still known."""
        return self._good.get((record.job_id, record.config_version or 0))

    def plain(self, definition: JobDefinition, record: RunRecord) -> dict[str, object]:
        """Return the config of a run without what the store has for its job."""
        file = self._settings.of_job(record.job_id)
        return effective_config(declared=definition.config, file=file, call=_call_of(record))

    async def put(
        self,
        store: JobStore,
        definition: JobDefinition,
        make: Callable[[Sequence[ConfigVersion]], ConfigVersion],
        *,
        look_back: int,
    ) -> ConfigVersion:
        """Store what `make` makes of the newest `look_back` versions; again if another came first.

        Raises:
            ConfigError: it does not fit the job's schema.
        """
        while True:
            row = _row_of(definition.job_id, make(await history_of(store, definition.job_id, limit=look_back)))
            version = _version_of(row)  # as it will be read: plain JSON
            file = self._settings.of_job(definition.job_id)
            values = effective_config(declared=definition.config, file=file, stored=version)
            check_config(definition, values, version)
            if await store.put_config(row) == row:
                self.changed()
                return version

    async def _wanted(self, job_id: str, number: int, problems: list[ConfigError]) -> Sequence[ConfigVersion]:
        """Return the version of a run as it is, and as it was when it could be used."""
        known = self._good.get((job_id, number))
        if known is not None and (job_id, number) in self._fresh:
            return (known,)
        if not number:
            return ()
        found = await history_of(self._store, job_id, before=number + 1, limit=1)
        problem = _problem_of(found, job_id, number)
        if problem is None:
            return (found[0],) if known is None else (found[0], known)
        problems.append(problem)
        is_there = bool(found) and found[0].version == number
        return (known,) if known is not None and is_there else ()

    async def _older(self, job_id: str, number: int, _: list[ConfigError], *, at: datetime) -> Sequence[ConfigVersion]:
        """Return the versions before it that can be read and were in force, the newest first."""
        if not number:
            return ()
        before = await history_of(self._store, job_id, before=number, limit=_OLDER)
        return [one for one in before if one.problem is None and one.effective_from <= at]

    def _files(self, job_id: str, file: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:  # Any: as above
        good = self._good_files.get(job_id, file)
        return (file,) if good == file else (file, good)

    def _remember(self, job_id: str, found: "_Usable", *, is_fresh: bool) -> None:
        self._good_files[job_id] = found.file
        stored = found.stored
        if stored is None:
            return
        key = (job_id, stored.version)
        self._good[key] = stored
        if is_fresh:
            self._fresh.add(key)
        if len(self._good) > _KEPT:
            oldest = next(iter(self._good))
            del self._good[oldest]
            self._fresh.discard(oldest)

    def _complain(self, job_id: str, problems: Sequence[ConfigError]) -> None:
        said = str(problems[0]) if problems else ""
        if said and said != self._complaints.get(job_id):
            log.warning(
                "the config of job %s was changed and cannot be used; the last good one stays: %s", job_id, said
            )
        self._complaints[job_id] = said


def _source_of_call(job_id: str) -> str:
    return f"the config that the call gives to job {job_id!r}"


async def _none(job_id: str, number: int, problems: list[ConfigError]) -> Sequence[None]:
    """Return that there is no stored layer."""
    return (None,)


def check_config(
    definition: JobDefinition, values: Mapping[str, object], stored: ConfigVersion | None, *, source: str = ""
) -> object:
    """Return the instance that an effective config makes, None for a job without a schema.

    Args:
        source: where it comes from, as an error says it; the job and the stored version unless given.

    Raises:
        ConfigError: it does not fit the schema.
    """
    if definition.schema is None:
        return None
    version = "" if stored is None else f" with version {stored.version}"
    return definition.schema.check(values, source=source or f"the config of job {definition.job_id!r}{version}")


async def history_of(
    store: ReadStore, job_id: str, *, before: int | None = None, limit: int = 50
) -> Sequence[ConfigVersion]:
    """Return versions of a job's config, newest first; one that was edited into what cannot be used has a `problem`."""
    return [_version_of(row) for row in await store.configs(job_id, before=before, limit=limit)]


def _version_of(row: ConfigRow) -> ConfigVersion:
    values: dict[str, Any] = {}  # Any: as above
    problem = None
    try:
        values = decode_json(row.value, dict[str, Any])  # Any: as above
    except DecodeError:
        problem = "its value is no JSON object"
    effective_from, created_at = _instant(row.effective_from), _instant(row.created_at)
    if effective_from is None or created_at is None:
        problem = "its effective_from or created_at is no instant in the years 1 to 9999"
    return ConfigVersion(
        row.version,
        values,
        effective_from or _NO_INSTANT,
        created_at or _NO_INSTANT,
        comment=row.comment,
        rollback_of=row.rollback_of,
        problem=problem,
    )


def _has_come(effective_from: object, now: int) -> bool:
    return isinstance(effective_from, int) and effective_from <= now  # it may be a text; see `_instant`


def _instant(microseconds: int) -> datetime | None:
    try:
        return from_us(microseconds)
    except (InvalidArgumentError, TypeError):  # somebody edited it by hand; a column of SQLite takes texts, too
        return None


def _call_of(record: RunRecord) -> dict[str, object] | None:
    return None if record.config is None else decode_json(record.config, dict[str, object])


def _row_of(job_id: str, version: ConfigVersion) -> ConfigRow:
    return ConfigRow(
        job_id=job_id,
        version=version.version,
        value=encode_json(version.values),
        effective_from=to_us(version.effective_from),
        created_at=to_us(version.created_at),
        comment=version.comment,
        rollback_of=version.rollback_of,
    )


def _problem_of(found: Sequence[ConfigVersion], job_id: str, number: int) -> ConfigError | None:
    source = f"version {number} of the config of job {job_id!r}"
    if not found or found[0].version != number:
        return ConfigError(source=source, reason="it is gone from the store")
    return None if found[0].problem is None else ConfigError(source=source, reason=found[0].problem)
