"""Every operation of the API's own schema, asked what the schema allows and what it does not.

A real server answers. Each answer is held against the schema, its status, type, headers and fields; none is an error of
the program.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import ignored_auth
from schemathesis.specs.openapi import checks
from tests.unit.web.support_web import START, make_shop

from mainspring.jobs import JobApp
from mainspring.runtime import entrypoint
from mainspring.web import WebService

pytestmark = [pytest.mark.extras, pytest.mark.stress, pytest.mark.timeout(600)]

Case: TypeAlias = Any  # Any: schemathesis.Case is generic in types that it does not say

TOKEN = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OPERATIONS = 16
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_WEB_TOKEN", TOKEN)
    monkeypatch.setenv("MAINSPRING_STATE_DIR", str(tmp_path / "state"))


async def fill(app: JobApp) -> None:
    """Let there be something of everything to see."""
    await app.run_job("greet", {"name": "Ann"})
    await app.run_job("boom")
    await app.put_config("hourly", {"n": 2})
    await app.set_schedule("hourly", cron="30 * * * *")
    await (await app.backfill("hourly", START, START + timedelta(hours=3))).wait()


def fuzz(address: str, ask: Callable[[Case, requests.Session], None], *, examples: int) -> int:
    """Ask each operation so often, half of the times wrongly where it can be wrong; return how many there are."""
    config = schemathesis.Config()
    config.projects.default.generation.update(with_security_parameters=False)  # who asks brings the token, or none
    load: Any = schemathesis.openapi.from_url  # Any: as above
    schema = load(f"{address}/api/v1/openapi.json", config=config, headers=BEARER)
    operations = [one.ok() for one in schema.get_all_operations()]
    with requests.Session() as session:
        for operation in operations:
            right, wrong = (operation.as_strategy(mode) for mode in GenerationMode)

            @settings(max_examples=examples, suppress_health_check=SLOW, database=None, derandomize=True)
            @given(case=right | wrong)
            def every(case: Case) -> None:
                ask(case, session)

            every()
    return len(operations)


async def test_every_operation_answers_as_its_schema_says(mainspring_count: Callable[[int, int], int]) -> None:
    """With the token whatever is asked; without it by 401, and by 429 to whoever does not slow down."""
    app = make_shop()
    open_to_all = WebService(app=app, port=0, rate=1e6, burst=1_000_000)
    strict = WebService(app=app, port=0, rate=0.001, burst=5)
    # Of wrong tokens only twenty a minute are answered by a 401; an instant may also be a number of seconds.
    of_openapi: Any = checks  # Any: they are generic in cases
    not_ours = [ignored_auth, of_openapi.negative_data_rejection]
    statuses: set[int] = set()

    def ask(case: Case, session: requests.Session) -> None:
        case.call_and_validate(session=session, headers=BEARER, excluded_checks=not_ours)
        answer = case.call(base_url=strict.address, session=session)
        case.validate_response(answer)
        statuses.add(answer.status_code)

    async with entrypoint(app, open_to_all, strict, log_config=False):
        await fill(app)
        count = await asyncio.to_thread(fuzz, open_to_all.address, ask, examples=mainspring_count(6, 300))
    assert (OPERATIONS, {401, 429}) == (count, statuses)
