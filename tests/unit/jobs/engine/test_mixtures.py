"""Options that contradict one another are refused where they are written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mainspring.errors import JobDefinitionError
from mainspring.jobs import JobApp


def handler() -> None: ...


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"depends_on_past": True}, "a job with cron=, every= or at="),
        ({"at": datetime(2013, 1, 1, tzinfo=UTC), "depends_on_past": True}, "a job with intervals"),
        ({"every": 1, "depends_on_past": True, "overlap": "skip"}, "go one after the other"),
        ({"every": 1, "depends_on_past": True, "overlap": "allow"}, "go one after the other"),
        ({"every": 1, "depends_on_past": True, "max_instances": 2}, "go one after the other"),
        ({"every": 1, "overlap": "skip", "missed": "all"}, "would be skipped"),
        ({"every": 1, "overlap": "skip", "stateful": True}, "would be skipped"),
        ({"every": 1, "overlap": "skip", "backfill_policy": "catch_up"}, "would be skipped"),
        ({"job_id": "it", "was": ["old", "it"]}, "earlier ids"),
        ({"tags": "slow"}, r"a list of texts, as \['slow'\]"),
        ({"every": 1, "needs": "other"}, r"a list of job ids, functions of jobs, and Needs, as \['other'\]"),
        ({"was": "old"}, "a list"),
    ],
)
def test_a_contradiction_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said):
        JobApp("t").job(**options)(handler)
