"""An option of a wrong kind is refused at its decorator: at a run it would be too late, or nobody would see it."""

import math
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from mainspring.errors import JobDefinitionError
from mainspring.jobs import JobApp, Need


async def handler() -> None: ...


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("timeout", "soon", "finite seconds > 0, or None"),
        ("timeout", math.inf, "finite seconds > 0, or None"),
        ("timeout", 10**400, "finite seconds > 0, or None"),
        ("timeout", True, "finite seconds > 0, or None"),
        ("delay", math.inf, "finite seconds >= 0"),
        ("jitter", math.nan, "finite seconds >= 0"),
        ("sla", "1h", "finite seconds > 0"),
        ("max_lookback", math.nan, "finite seconds > 0"),
        ("cancel_grace", math.inf, "finite seconds >= 0"),
        *(
            (name, 1e11, "seconds of 100 years at most")
            for name in ("delay", "jitter", "timeout", "sla", "max_lookback", "misfire_grace_time", "cancel_grace")
        ),
        ("max_instances", 1.5, "an int >= 1"),
        ("priority", "high", "an int between"),
        ("priority", 1.5, "an int between"),
        ("priority", -(2**31), "an int between"),
        ("queue", "", "a text that is not empty"),
        ("queue", 3, "a text that is not empty"),
        ("concurrency_key", 5, "a text that is not empty, or None"),
        ("retry", "3", "a Backoff, an int, or None"),
        ("retry", 2.5, "a Backoff, an int, or None"),
        ("start_at", date(2013, 1, 1), "an aware datetime"),
        ("deterministic", "yes", "True or False"),
        ("depends_on_past", 1, "True or False"),
        ("coalesce", "no", "True or False, or None"),
        ("config", [1], "a mapping of names to values"),
        ("limiter", 5, "a limiter"),
        ("limiter", SimpleNamespace(acquire=handler), "a limiter, with an acquire.. to await and an `async with`"),
        ("resources", [handler], "a mapping of parameter names"),
        ("needs", (5,), "a list of job ids, functions of jobs, and Needs"),
        ("needs", Need("other"), "a list of job ids, functions of jobs, and Needs"),
        ("missed", ["all"], "one of 'all', 'latest', 'merge', 'skip', or None"),
        ("backfill_policy", 5, "a text that is not empty, or None"),
        ("tags", (1,), "a list of texts"),
        ("tags", "slow", r"a list of texts, as \['slow'\]"),
        ("was", (5,), "a list of job ids"),
    ],
)
def test_a_value_of_a_wrong_kind_is_refused(option: str, value: object, expected: str) -> None:
    options: dict[str, Any] = {"every": 60, option: value}
    with pytest.raises(JobDefinitionError, match=f"{option}=.*{expected}"):
        JobApp("t").job("x", **options)(handler)


def test_what_options_may_be_is_taken() -> None:
    options: dict[str, Any] = {
        "every": 60,
        "timeout": 1,
        "max_lookback": 100 * 365.25 * 86_400,
        "priority": -5,
        "cancel_grace": 0,
        "config": {"of": {"any": object()}},
        "needs": [Need("other"), "one"],
        "tags": {"a", "b"},
        "limiter": None,
        "concurrency_key": None,
    }
    app = JobApp("t")
    app.job("x", **options)(handler)
    assert app.jobs["x"].priority == -5
