"""Needs that can never be satisfied are refused before anything runs."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mainspring.errors import InvalidArgumentError, NeedsError
from mainspring.jobs.model import At, Every, Need, Schedule, check_needs

_H = Every(3600)
_ONCE = At(datetime(2013, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("offset", ["1h", timedelta(hours=1), math.nan, math.inf, 1e11, True, None])
def test_an_offset_is_seconds_within_the_calendar(offset: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"offset=.* expected seconds, of 100 years at most") as caught:
        Need("a", offset=offset)
    if offset in ("1h", timedelta(hours=1)):
        assert "write 3600, a number of seconds" == caught.value.hint


def test_a_need_names_its_job_by_its_id() -> None:
    function: Any = test_an_offset_is_seconds_within_the_calendar
    with pytest.raises(InvalidArgumentError, match="expected the id of a job"):
        Need(function)


def test_a_graph_without_circles_is_accepted() -> None:
    check_needs({"a": (_H, ()), "b": (_H, (Need("a"),)), "c": (_H, (Need("a"), Need("b")))})


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"a": (_H, (Need("b"),))}, "not a job"),
        ({"a": (_H, (Need("b"),)), "b": (None, ())}, "no data intervals"),
        ({"a": (_H, (Need("b"),)), "b": (_ONCE, ())}, "no data intervals"),
        ({"a": (None, (Need("b"),)), "b": (_H, ())}, "of its own"),
        ({"a": (_H, (Need("b"),)), "b": (_H, (Need("c"),)), "c": (_H, (Need("a"),))}, "a -> b -> c -> a"),
        ({"a": (_H, (Need("a"),))}, "a -> a"),
    ],
)
def test_what_can_never_be_there_is_named(jobs: dict[str, tuple[Schedule | None, tuple[Need, ...]]], said: str) -> None:
    with pytest.raises(NeedsError, match=said):
        check_needs(jobs)


def test_an_upstream_that_starts_later_is_named_with_both_instants() -> None:
    jobs: dict[str, tuple[Schedule | None, tuple[Need, ...]]] = {"a": (_H, (Need("b", offset=-3600),)), "b": (_H, ())}
    first = datetime(2013, 1, 1, tzinfo=UTC)
    with pytest.raises(NeedsError, match="from 2012-12-31T23:00:00"):
        check_needs(jobs, starts={"a": first, "b": first})
    check_needs(jobs, starts={"a": first})
    check_needs(jobs, starts={"a": first, "b": datetime(2012, 1, 1, tzinfo=UTC)})


def test_a_chain_of_thousands_is_no_trouble() -> None:
    jobs: dict[str, tuple[Schedule | None, tuple[Need, ...]]] = {"0": (_H, ())}
    jobs |= {str(number): (_H, (Need(str(number - 1)),)) for number in range(1, 5000)}
    check_needs(jobs)
