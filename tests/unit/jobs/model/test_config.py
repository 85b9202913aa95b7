"""Config is a stack of layers, and its stored layer a history that only grows."""

from datetime import UTC, datetime, timedelta

import pytest

from mainspring.errors import InvalidArgumentError
from mainspring.jobs.model import (
    ABSENT,
    ConfigChange,
    ConfigVersion,
    config_at,
    diff_config,
    effective_config,
    next_config,
    rollback_config,
)

_T0 = datetime(2013, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


def _history() -> list[ConfigVersion]:
    first = next_config([], {"page": 100, "keys": {"a": 1}}, now=_T0)
    later = next_config([first], {"page": 200}, now=_T0, effective_from=_T0 + _HOUR, comment="from one o'clock")
    return [first, later]


def test_each_layer_replaces_the_keys_of_weaker_ones() -> None:
    stored = ConfigVersion(1, {"c": "stored", "d": "stored"}, _T0, _T0)
    config = effective_config(
        declared={"a": "declared", "b": "declared", "c": "declared", "d": "declared"},
        file={"b": "file", "c": "file", "d": "file"},
        stored=stored,
        call={"d": "call"},
    )
    assert {"a": "declared", "b": "file", "c": "stored", "d": "call"} == config
    assert {} == effective_config()


def test_what_a_run_does_to_its_config_stays_there() -> None:
    thing = object()
    stored = ConfigVersion(1, {"stored": {"list": [{"n": 1}]}}, _T0, _T0)
    declared, file = {"table": {"n": 1}, "thing": thing}, {"names": ["a"]}
    first = effective_config(declared=declared, file=file, stored=stored)
    first["table"]["n"] = first["stored"]["list"][0]["n"] = 2
    first["names"].append("b")
    again = effective_config(declared=declared, file=file, stored=stored)
    assert {"table": {"n": 1}, "thing": thing, "names": ["a"], "stored": {"list": [{"n": 1}]}} == again
    assert thing is again["thing"]


def test_a_version_counts_from_its_instant_on() -> None:
    history = _history()
    assert [1, 2] == [one.version for one in history]
    assert config_at(history, _T0 - _HOUR) is None
    assert history[0] is config_at(history, _T0)
    assert history[1] is config_at(history, _T0 + _HOUR)


def test_what_was_put_last_wins_over_what_was_planned_before() -> None:
    history = _history()
    urgent = next_config(history, {"page": 1}, now=_T0 + _HOUR / 2)
    assert urgent is config_at([*history, urgent], _T0 + 2 * _HOUR)


def test_a_rollback_is_a_new_version_with_old_values() -> None:
    history = _history()
    back = rollback_config(history, 1, now=_T0 + 2 * _HOUR, comment="200 was too much")
    assert (3, {"page": 100, "keys": {"a": 1}}, 1) == (back.version, back.values, back.rollback_of)
    assert back is config_at([*history, back], _T0 + 3 * _HOUR)


def test_unknown_versions_and_naive_instants_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"one of \[1, 2\]"):
        rollback_config(_history(), 7, now=_T0)
    with pytest.raises(InvalidArgumentError, match="a stored version"):
        rollback_config([], 1, now=_T0)
    with pytest.raises(InvalidArgumentError, match="aware"):
        next_config([], {}, now=_T0, effective_from=datetime(2013, 1, 1))  # noqa: DTZ001


def test_a_diff_names_each_key_and_both_sides() -> None:
    expected = [
        ConfigChange("gone", 1, ABSENT),
        ConfigChange("limits.rate", 5, 6),
        ConfigChange("new", ABSENT, None),
    ]
    before = {"same": 1, "gone": 1, "limits": {"rate": 5, "burst": 1}}
    assert expected == diff_config(before, {"same": 1, "limits": {"rate": 6, "burst": 1}, "new": None})
    assert "ABSENT" in repr(expected[0])
