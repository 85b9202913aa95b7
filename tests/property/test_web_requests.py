"""No request that the API's own schema allows, or does not, is answered by an error of the program."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi")

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.web.support_web import Client, make_shop

from mainspring.web._api import make_api
from mainspring.web._program import no_program

pytestmark = pytest.mark.extras

APP = make_shop()
API = make_api(APP, no_program)
PATHS: dict[str, Any] = API.openapi()["paths"]
INSTANTS = ["2013-03-10T05:00:00Z", "2013-03-10", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00"]
WORDS = ["greet", "hourly", "a/daily", "none", "failed", "0", "-1", "1000", "1001", "1e3", "%", "'", "\x00", "_"]
ODD = st.text("aZ09 %&=+/'\"<>\\;,.*\u00e9\u6f22\U0010ffff\x00\n", max_size=20)
VALUES = st.sampled_from([*WORDS, *INSTANTS, "01a21539-5de0-737d-b503-74137fd372dc"]) | ODD


@st.composite
def requests(draw: st.DrawFn) -> str:
    """Return a path of the API with values for its parameters, often wrong ones."""
    path = draw(st.sampled_from(sorted(PATHS)))
    query: list[str] = []
    for one in PATHS[path]["get"].get("parameters", ()):
        name = one["name"]
        if one["in"] == "path":
            path = path.replace(f"{{{name}}}", draw(VALUES).replace("?", "-"))
        else:
            query += [f"{name}={quote(value)}" for value in draw(st.lists(VALUES, max_size=2))]
    return f"{path}?{'&'.join(query)}"


@pytest.fixture(scope="module", autouse=True)
def some_runs() -> None:
    async def run() -> None:
        await APP.open()
        await APP.run_job("greet", {"name": "Ann"})
        await APP.run_job("boom")
        await APP.close()

    asyncio.run(run())


@given(request=requests())
def test_every_request_is_answered_in_order(request: str) -> None:
    answer = asyncio.run(Client(API, {}).get(request))
    assert answer.status in (200, 400, 404, 422)
    body = json.loads(answer.body)
    if answer.status != 200:
        assert "application/problem+json" == answer.headers["content-type"]
        assert {"type", "title", "status", "detail"} <= body.keys()
        assert "Traceback" not in answer.text
