"""Each option of raven is translated, kept at its default, or named as ignored."""

import sys

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.services._raven_options import RAVEN_OPTIONS, from_environment, translate

DEFAULTS = {
    "name": "",
    "environment": "full_example",
    "release": "1.0",
    "include_paths": set[str](),
    "exclude_paths": set[str](),
    "auto_log_stacks": True,
    "capture_locals": True,
    "string_max_length": 400,
    "list_max_length": 50,
    "site": None,
    "include_versions": True,
    "processors": ("raven.processors.SanitizePasswordsProcessor",),
    "sanitize_keys": None,
    "context": {"sys.argv": sys.argv[:]},
    "tags": {},
    "sample_rate": 1,
    "ignore_exceptions": (),
}


def test_all_seventeen_are_known_with_their_defaults() -> None:
    assert 17 == len(RAVEN_OPTIONS)
    assert set(RAVEN_OPTIONS) == DEFAULTS.keys()
    made = translate(DEFAULTS)
    assert [] == made.ignored
    assert made.with_versions
    assert {
        "environment": "full_example",
        "release": "1.0",
        "attach_stacktrace": True,
        "include_local_variables": True,
        "max_value_length": 400,
        "sample_rate": 1,
    } == made.client


def test_values_are_translated() -> None:
    made = translate(
        {
            "name": "me",
            "include_paths": {"b", "a"},
            "exclude_paths": ("c",),
            "ignore_exceptions": ["KeyError"],
            "site": "north",
            "sanitize_keys": ("pin",),
            "include_versions": False,
            "list_max_length": 49,
            "processors": ("mine",),
        }
    )
    assert {
        "server_name": "me",
        "in_app_include": ["a", "b"],
        "in_app_exclude": ["c"],
        "ignore_errors": ["KeyError"],
    } == made.client
    assert ({"site": "north"}, ["pin"], False) == (made.tags, made.denied_keys, made.with_versions)
    assert ["list_max_length", "processors"] == made.ignored


def test_others_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="transport"):
        translate({"transport": None})


def test_variables_that_are_set_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTRY_NAME", "SENTRY_RELEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "staging")
    assert {"environment": "staging"} == from_environment()
