"""Steering the jobs of an app: their stored configs as people put, look at and bring them back."""

import math
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from tests.unit.jobs.engine.support_engine import at, make_app, running

from mainspring.base import current_clock
from mainspring.errors import ConfigError, InvalidArgumentError, UnknownJobError
from mainspring.jobs import SECRET, ConfigChange, JobApp
from mainspring.jobs.model import ABSENT


class Api(msgspec.Struct):
    rows: int = 1
    pin: Annotated[str, SECRET] = ""


@pytest.fixture
def app(tmp_path: Path) -> JobApp:
    app = make_app(tmp_path)

    @app.job("load", schema=Api, config={"rows": 1})
    async def load() -> None:
        pass

    return app


async def test_history_lists_versions_newest_first(app: JobApp) -> None:
    async with running(app):
        first = await app.put_config("load", {"rows": 2}, comment="more")
        second = await app.put_config("load", {"rows": 3}, effective_from=at(0))
        third = await app.rollback_config("load", 1, comment="too many")
        assert [third, second, first] == await app.config_history("load")
        assert [second] == await app.config_history("load", before=3, limit=1)
        assert ("too many", 1, {"rows": 2}) == (third.comment, third.rollback_of, third.values)
        assert {"rows": 2} == await app.effective_config("load")
        assert {"rows": 1} == await app.effective_config("load", at=at(-1))
        assert {"rows": 3} == await app.effective_config("load", at=at(1))


async def test_merging_changes_keys_of_the_newest_version(app: JobApp) -> None:
    async with running(app):
        await app.put_config("load", {"rows": 2, "mode": "fast"})
        merged = await app.put_config("load", {"rows": None, "depth": 1}, merge=True)
        assert {"mode": "fast", "depth": 1} == merged.values
        replaced = await app.put_config("load", {"depth": 2})
        assert {"depth": 2} == replaced.values


async def test_merging_leaves_out_what_is_planned_for_later(app: JobApp) -> None:
    """A change of today must not bring what somebody planned for tomorrow; one of tomorrow builds on it."""
    tomorrow = current_clock().now() + timedelta(days=1)
    async with running(app):
        await app.put_config("load", {"rows": 2})
        await app.put_config("load", {"rows": 3, "depth": 7}, effective_from=tomorrow)
        later = await app.put_config("load", {"mode": "fast"}, merge=True, effective_from=tomorrow)
        assert {"rows": 3, "depth": 7, "mode": "fast"} == later.values
        assert {"rows": 2, "mode": "slow"} == (await app.put_config("load", {"mode": "slow"}, merge=True)).values
        with pytest.raises(InvalidArgumentError, match="an aware datetime"):
            await app.put_config("load", {}, merge=True, effective_from=tomorrow.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("values", "effective_from", "told"),
    [
        ([1], None, r"^values=\[1\] is not accepted: expected a mapping of names to values"),
        (None, None, "^values=None is not accepted: expected a mapping"),
        ({"a": {"b": [0.5, math.inf]}}, None, r"^values\.a\.b\.1=inf is not accepted: expected a number that JSON has"),
        ({"rows": 1}, "2024", "^effective_from='2024' is not accepted: expected an aware datetime"),
        ({"rows": 1}, date(2024, 1, 1), "^effective_from=2024-01-01 is not accepted: expected an aware datetime"),
        ({"rows": 1}, at(0).replace(tzinfo=None), "^effective_from=2013-01-01T00:00:00 is not accepted"),
    ],
)
async def test_a_version_that_cannot_be_is_refused_in_one_sentence(
    app: JobApp, values: Any, effective_from: Any, told: str
) -> None:
    async with running(app):
        with pytest.raises(InvalidArgumentError, match=told):
            await app.put_config("load", values, effective_from=effective_from)
        assert [] == await app.config_history("load")


async def test_differences_show_no_secrets(app: JobApp) -> None:
    async with running(app):
        await app.put_config("load", {"rows": 2, "pin": "1234", "api": {"token": "x", "page": 1}})
        await app.put_config("load", {"pin": "5678", "api": {"token": "y", "page": 2}, "secrets": {"a": {"b": 1}}})
        await app.put_config("load", {"pin": "5678", "secrets": {"a": {"b": 2}}})
        assert [
            ConfigChange("api.page", 1, 2),
            ConfigChange("api.token", "***", "***"),
            ConfigChange("pin", "***", "***"),
            ConfigChange("rows", 2, ABSENT),
            ConfigChange("secrets", ABSENT, "***"),
        ] == await app.diff_config("load", 1, 2)
        assert [
            ConfigChange("api", {"token": "***", "page": 2}, ABSENT),
            ConfigChange("secrets.a.b", "***", "***"),
        ] == await app.diff_config("load", 2, 3)


async def test_what_cannot_be_is_refused(app: JobApp) -> None:
    async with running(app):
        with pytest.raises(InvalidArgumentError, match="version=1 is not accepted: expected a stored version"):
            await app.rollback_config("load", 1)
        with pytest.raises(InvalidArgumentError, match="a stored version"):
            await app.diff_config("load", 1, 2)
        await app.put_config("load", {})
        with pytest.raises(InvalidArgumentError, match=r"one of \[1\]"):
            await app.diff_config("load", 1, 2)
        with pytest.raises(InvalidArgumentError, match="effective_from"):
            await app.put_config("load", {}, effective_from=at(0).replace(tzinfo=None))
        with pytest.raises(UnknownJobError):
            await app.put_config("nobody", {})
        await app.store.owner.write(  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
            lambda connection: connection.execute("UPDATE config SET value = 'x'")  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]
        )
        with pytest.raises(InvalidArgumentError, match="another one: its value is no JSON object"):
            await app.rollback_config("load", 1)
        await app.put_config("load", {"rows": 5}, merge=True)
        with pytest.raises(ConfigError):
            await app.put_config("load", {"rows": "x"})
