"""What a reader is asked is checked before the store is."""

from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import running

from mainspring.errors import InvalidArgumentError
from mainspring.jobs import JobApp, RunState


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"states": "failed"}, r"states='failed' .* a list, as \['failed'\]"),
        ({"states": RunState.FAILED}, r"states='failed' .* a list, as \['failed'\]"),
        ({"states": ["faild"]}, "states='faild' .* states: available, cancelled, failed"),
        ({"limit": -1}, "limit=-1 .* an int >= 0"),
    ],
)
async def test_what_would_find_nothing_whatever_there_is_is_refused(asked: dict[str, Any], said: str) -> None:
    async with running(JobApp("reader", store="memory")) as app:
        with pytest.raises(InvalidArgumentError, match=said):
            await app.runs(**asked)
