"""Options of the raven client, in the words of its successor. Pure."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mainspring.errors import InvalidArgumentError

_SCRUBBER: Final = "raven.processors.SanitizePasswordsProcessor"
_LIST_MAX_LENGTH: Final = 50
# The option of the successor that means the same.
_RENAMED: Final = {
    "environment": "environment",
    "release": "release",
    "capture_locals": "include_local_variables",
    "auto_log_stacks": "attach_stacktrace",
    "string_max_length": "max_value_length",
    "sample_rate": "sample_rate",
}
_LISTS: Final = {
    "include_paths": "in_app_include",
    "exclude_paths": "in_app_exclude",
    "ignore_exceptions": "ignore_errors",
}
_OTHERS: Final = (
    "name",
    "list_max_length",
    "site",
    "include_versions",
    "processors",
    "sanitize_keys",
    "context",
    "tags",
)
RAVEN_OPTIONS: Final = (*_RENAMED, *_LISTS, *_OTHERS)


@dataclass(slots=True)
class SentryOptions:
    """What a Sentry client is made of, and what each of its events carries."""

    client: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: dict[str, Any] = field(default_factory=dict[str, Any])
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    denied_keys: list[str] = field(default_factory=list[str])
    with_versions: bool = True
    ignored: list[str] = field(default_factory=list[str])


def translate(options: Mapping[str, Any]) -> SentryOptions:
    """Return what options of raven mean; `ignored` has those whose value cannot be kept.

    Raises:
        InvalidArgumentError: raven knew no such option.
    """
    unknown = sorted(options.keys() - set(RAVEN_OPTIONS))
    if unknown:
        expected = f"some of {', '.join(RAVEN_OPTIONS)}"
        raise InvalidArgumentError(argument="client_options", value=unknown, expected=expected)
    made = SentryOptions(
        client={_RENAMED[name]: value for name, value in options.items() if name in _RENAMED and value is not None},
        tags=dict(options.get("tags") or {}),
        extra=dict(options.get("context") or {}),
        denied_keys=list(options.get("sanitize_keys") or ()),
        with_versions=bool(options.get("include_versions", True)),
    )
    made.client |= {_LISTS[name]: _listed(options[name]) for name in _LISTS if options.get(name)}
    if options.get("name"):
        made.client["server_name"] = options["name"]
    if options.get("site"):
        made.tags["site"] = options["site"]
    if options.get("list_max_length", _LIST_MAX_LENGTH) != _LIST_MAX_LENGTH:
        made.ignored.append("list_max_length")
    if tuple(options.get("processors", (_SCRUBBER,))) != (_SCRUBBER,):
        made.ignored.append("processors")
    return made


def from_environment() -> dict[str, str]:
    """Return what `SENTRY_NAME`, `SENTRY_ENVIRONMENT` and `SENTRY_RELEASE` say, as options of a Sentry client."""
    names = {"server_name": "SENTRY_NAME", "environment": "SENTRY_ENVIRONMENT", "release": "SENTRY_RELEASE"}
    return {option: value for option, name in names.items() if (value := os.environ.get(name))}


def _listed(value: Iterable[Any]) -> list[Any]:
    return sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
