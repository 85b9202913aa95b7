"""Whatever a handler returns or raises, the record can hold it."""

import math
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from tests.unit.jobs.engine.support_engine import eventually, make_app, running

from mainspring.base import Backoff
from mainspring.jobs import EventKind, RunState
from mainspring.sinks import Delivery


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Patient(Exception):
    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("no file named \udcff"), "OSError: no file named \\udcff"),
        (Unprintable(), "Unprintable: <exception str() failed>"),
    ],
)
async def test_an_error_that_is_no_text_is_recorded_all_the_same(tmp_path: Path, error: Exception, said: str) -> None:
    app = make_app(tmp_path)

    @app.job("odd")
    async def odd() -> None:
        raise error

    async with running(app):
        result = await app.run_job("odd")
    assert (result.state, result.error) == (RunState.FAILED, said)


async def test_a_retry_waits_a_day_at_most_whatever_the_other_side_asks(tmp_path: Path) -> None:
    app = make_app(tmp_path)

    @app.job("patient", retry=1)
    async def patient() -> None:
        raise Patient(1e12)

    async with running(app):
        run_id = (await app.run_job("patient", wait=False)).run_id

        async def retrying() -> bool:
            record = await app.run(run_id)
            return record is not None and record.state is RunState.RETRYING

        await eventually(retrying)
        record = await app.run(run_id)
        assert record is not None
        assert 0.9 * 86_400e6 < record.available_at - record.created_at < 2 * 86_400e6


async def test_a_retry_that_is_put_off_without_end_is_made_as_the_job_has_it(tmp_path: Path) -> None:
    """So says a circuit that somebody opened by hand, who may close it at any time."""
    app = make_app(tmp_path)

    @app.job("patient", retry=Backoff.constant(0.0, max_tries=2))
    async def patient() -> None:
        raise Patient(math.inf)

    async with running(app):
        result = await app.run_job("patient")
        record = await app.run(result.run_id)
    assert record is not None
    assert (RunState.FAILED, 2) == (record.state, record.attempt)


async def test_a_value_that_is_not_json_or_too_large_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path)

    @app.job("odd")
    async def odd() -> object:
        return object()

    @app.job("large")
    async def large() -> str:
        return "x" * 70_000

    async with running(app):
        assert (await app.run_job("odd")).check().value is None
        assert (await app.run_job("large")).check().value is None
    assert "which is not kept" in caplog.text
    assert "more than are kept" in caplog.text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [1.5, None, {"b": math.nan}]}, "returned nan at a.2.b, which is no JSON"),
        (-math.inf, "returned -inf, which"),
        ({"a": "null", "b": None}, ""),
    ],
)
async def test_a_value_with_a_number_that_json_has_not_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: object, told: str
) -> None:
    """As is any value that JSON cannot say: nobody gets null for what was not null."""
    app = make_app(tmp_path)

    @app.job("odd")
    async def odd() -> object:
        return value

    async with running(app):
        assert (None if told else value) == (await app.run_job("odd")).check().value
    assert told in caplog.text
    assert bool(told) == ("not kept" in caplog.text)


@pytest.mark.parametrize(
    ("on_failure", "state", "facts"),
    [
        ("fail", RunState.FAILED, {"sink": "broken", "items": 1}),
        ("spool", RunState.SUCCEEDED, {"sink": "broken", "spooled": 1}),
    ],
)
async def test_a_sink_that_takes_no_items_leaves_a_row(
    tmp_path: Path, on_failure: Literal["fail", "spool"], state: RunState, facts: dict[str, object]
) -> None:
    app = make_app(tmp_path)
    delivery = Delivery(retry=Backoff.constant(0.0, max_tries=1), on_failure=on_failure)

    @app.sink(int, name="broken", delivery=delivery)
    async def broken(items: Sequence[int]) -> None:
        raise OSError("down")

    @app.job("emits")
    async def emits() -> AsyncGenerator[int]:
        yield 1

    async with running(app):
        result = await app.run_job("emits")
        (event,) = await app.store.events(result.run_id)
    assert (result.state, event.kind, event.detail) == (state, EventKind.SINK_FAILED, facts)
