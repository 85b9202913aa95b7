"""The configuration of a job: its layers, and its versions as a history that is only ever added to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeGuard  # Any: a config holds plain JSON

from mainspring.errors import InvalidArgumentError


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""Stands in a `ConfigChange` for a key that one side does not have."""


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One stored version of a job's config. Versions count from 1 and are never changed or removed.

    Attributes:
        effective_from: the instant from which it counts; a version may be put ahead of its time.
        rollback_of: the version whose values were brought back, if any.
        problem: why it cannot be used, when somebody edited it by hand; None for all that this library wrote.
    """

    version: int
    values: Mapping[str, Any]
    effective_from: datetime
    created_at: datetime
    comment: str = field(default="", kw_only=True)
    rollback_of: int | None = field(default=None, kw_only=True)
    problem: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One key (a dotted path in nested tables) that differs; `ABSENT` where a side does not have it."""

    key: str
    before: object
    after: object


def next_config(
    history: Iterable[ConfigVersion],
    values: Mapping[str, Any],
    *,
    now: datetime,
    effective_from: datetime | None = None,
    comment: str = "",
) -> ConfigVersion:
    """Return the version to store next; it counts from `now` on unless `effective_from` says otherwise.

    Raises:
        InvalidArgumentError: `effective_from` is no aware datetime.
    """
    if effective_from is not None and not _is_aware(effective_from):
        raise InvalidArgumentError(argument="effective_from", value=effective_from, expected="an aware datetime")
    number = max((one.version for one in history), default=0) + 1
    return ConfigVersion(number, dict(values), effective_from or now, now, comment=comment)


def _is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def rollback_config(
    history: Iterable[ConfigVersion], version: int, *, now: datetime, comment: str = ""
) -> ConfigVersion:
    """Return a new version with the values of an old one, in force from `now` on.

    Raises:
        InvalidArgumentError: the history has no such version.
    """
    known = {one.version: one for one in history}
    if version not in known:
        raise InvalidArgumentError(
            argument="version", value=version, expected=f"one of {sorted(known)}" if known else "a stored version"
        )
    return ConfigVersion(max(known) + 1, dict(known[version].values), now, now, comment=comment, rollback_of=version)


def config_at(history: Iterable[ConfigVersion], instant: datetime) -> ConfigVersion | None:
    """Return the newest version whose `effective_from` has come; None when there is none yet.

    Newest means the highest number: what was put last wins over a version that was put before it for later.
    """
    come = (one for one in history if one.effective_from <= instant)
    return max(come, key=lambda one: one.version, default=None)


def effective_config(
    *,
    declared: Mapping[str, Any] | None = None,
    file: Mapping[str, Any] | None = None,
    stored: ConfigVersion | None = None,
    call: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a run sees: declared < config file < stored version < the call's own, key by key.

    A key of a stronger layer replaces the whole value of a weaker one; nested tables are not mixed. Tables and lists
    are the run's own: what it does to them ends with it.
    """
    layers = (declared, file, stored.values if stored else None, call)
    return {key: _own(value) for layer in layers if layer for key, value in layer.items()}


def _own(value: Any) -> Any:  # Any: as above
    if _is_table(value):
        return {key: _own(one) for key, one in value.items()}
    return [_own(one) for one in value] if _is_list(value) else value


def diff_config(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ConfigChange]:
    """Return what changed, sorted by key."""
    return list(_changes("", before, after))


def _changes(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ConfigChange]:
    for key in sorted({*before, *after}):
        old, new = before.get(key, ABSENT), after.get(key, ABSENT)
        if _is_table(old) and _is_table(new):
            yield from _changes(f"{path}{key}.", old, new)
        elif old is ABSENT or new is ABSENT or old != new:
            yield ConfigChange(f"{path}{key}", old, new)


def _is_table(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
