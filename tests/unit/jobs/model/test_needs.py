"""Needs that can never be satisfied are refused before anything runs."""

from datetime import UTC, datetime

import pytest

from mainspring.errors import NeedsError
from mainspring.jobs.model import At, Every, Need, Schedule, check_needs

_H = Every(3600)
_ONCE = At(datetime(2013, 1, 1, tzinfo=UTC))


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
