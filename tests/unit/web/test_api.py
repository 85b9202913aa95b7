"""What the API says: the app's jobs, runs and the rest, page by page, and each error as a problem."""

import math
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("fastapi")

from tests.unit.web.support_web import START, Client, make_shop, opened

from mainspring.base import Backoff, Statistic
from mainspring.errors import StoreBusyError
from mainspring.jobs import JobApp, JobContext
from mainspring.runtime import HealthReport, ServiceHealth
from mainspring.sinks import Delivery
from mainspring.testing import eventually
from mainspring.web._api import make_api
from mainspring.web._program import no_program

pytestmark = pytest.mark.extras


@pytest.fixture
async def shop() -> AsyncGenerator[JobApp]:
    async with opened(make_shop()) as app:
        yield app


@pytest.fixture
def client(shop: JobApp) -> Client:
    return Client(make_api(shop, no_program), {})


async def pages(client: Client, path: str, key: str) -> list[list[Any]]:
    """Follow `next` to the end; return the keys of the items, page by page."""
    name = "before" if "runs" in path or "backfills" in path else "after"
    found: list[list[Any]] = []
    place = ""
    while True:
        page = (await client.get(f"/api/v1/{path}{place}")).json
        found.append([one[key] for one in page["items"]])
        if page["next"] is None:
            return found
        place = f"&{name}={page['next']}"


async def test_jobs_are_listed_by_id_with_what_the_store_knows(client: Client, shop: JobApp) -> None:
    await shop.run_job("greet", {"name": "Ann"})
    found = await pages(client, "jobs?limit=2", "job_id")
    assert [["a/daily", "boom"], ["greet", "hourly"], ["second_time"]] == found
    assert [["hourly"]] == await pages(client, "jobs?tag=prices", "job_id")
    assert [["hourly"]] == await pages(client, "jobs?text=PRICES", "job_id")
    _, _, greet, hourly, _ = (await client.get("/api/v1/jobs")).json["items"]
    assert ({"succeeded": 1}, None) == (greet["runs"], greet["schedule"])
    assert ("Load the prices of an hour.", "America/New_York", False) == (
        hourly["what"],
        hourly["timezone"],
        hourly["paused"],
    )
    assert hourly["next_fire_at"].endswith("Z")


async def test_a_job_is_shown_with_its_fires_its_gaps_and_no_secret(client: Client, shop: JobApp) -> None:
    backfill = await shop.backfill("hourly", START, START + timedelta(hours=3))
    await backfill.wait()
    shown = (await client.get("/api/v1/jobs/hourly")).json
    assert {"api_key": "***", "n": 1} == shown["config"]
    assert (5, 0) == (len(shown["next_fires"]), shown["gap_count"])
    assert "2013-03-10T03:00:00Z" == shown["job"]["watermark"]
    daily = (await client.get("/api/v1/jobs/a/daily")).json
    assert ["hourly"] == daily["job"]["needs"]
    missing = await client.get("/api/v1/jobs/other")
    assert (404, "application/problem+json") == (missing.status, missing.headers["content-type"])
    assert {"type", "title", "status", "detail", "hint"} >= missing.json.keys()
    assert "'other'" in missing.json["detail"]


async def test_runs_are_listed_page_by_page_and_filtered(client: Client, shop: JobApp) -> None:
    ran = [(await shop.run_job("greet", {"name": str(number)})).run_id for number in range(5)]
    failed = (await shop.run_job("boom")).run_id
    newest_first = [failed, *reversed(ran)]
    found = await pages(client, "runs?limit=4", "run_id")
    assert [newest_first[:4], newest_first[4:]] == found
    assert [[failed]] == await pages(client, "runs?state=failed&state=cancelled", "run_id")
    assert [ran[::-1]] == await pages(client, "runs?job=greet", "run_id")
    assert [[failed]] == await pages(client, "runs?text=NO%20LUCK", "run_id")
    assert [[ran[2]]] == await pages(client, f"runs?text={ran[2]}&since=2013-01-01T00:00:00Z", "run_id")
    assert ran[::-1] == [one for page in await pages(client, "runs?text=greet&limit=2", "run_id") for one in page]
    assert [[]] == await pages(client, "runs?until=2013-01-01T00:00:00Z", "run_id")
    assert [[]] == await pages(client, "runs?backfill=none", "run_id")
    (row,) = (await client.get("/api/v1/runs?job=boom")).json["items"]
    assert ("failed", "ValueError: no luck", "manual") == (row["state"], row["error"], row["kind"])


async def test_a_search_for_a_text_looks_at_a_bounded_number_of_runs(
    client: Client, shop: JobApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.web._routes_runs._SCANNED", 4)
    monkeypatch.setattr("mainspring.web._routes_runs._STEP", 2)
    failed = (await shop.run_job("boom")).run_id
    for _ in range(6):
        await shop.run_job("greet", {"name": "x"})
    found = await pages(client, "runs?text=luck", "run_id")
    assert [[], [failed]] == found[:2]


async def test_a_run_is_shown_with_all_that_is_known_of_it(client: Client, shop: JobApp) -> None:
    failed = await shop.run_job("boom", {"password": "p", "n": 2})
    shown = (await client.get(f"/api/v1/runs/{failed.run_id[:30]}")).json
    assert {"password": "***", "n": 2} == shown["config"]
    assert "raise ValueError" in shown["traceback"]
    assert (failed.run_id, None, []) == (shown["run"]["run_id"], shown["value"], shown["log"])
    greeted = await shop.run_job("greet", {"name": "Ann"})
    assert "hello Ann" == (await client.get(f"/api/v1/runs/{greeted.run_id}")).json["value"]
    await shop.put_config("greet", {"name": "stored", "api_key": "stored-key"})
    leaky = await shop.run_job("greet", {"name": "stored-key of call-key", "password": "call-key"})
    assert "hello stored-key of call-key" == leaky.value
    assert "hello *** of ***" == (await client.get(f"/api/v1/runs/{leaky.run_id}")).json["value"]
    backfill = await shop.backfill("hourly", START, START + timedelta(hours=1))
    await backfill.wait()
    (run,) = (await client.get(f"/api/v1/runs?backfill={backfill.backfill_id}")).json["items"]
    assert ("2013-03-10T00:00:00Z", "backfill") == (run["interval_start"], run["kind"])
    ((attempt,),) = [(await client.get(f"/api/v1/runs/{run['run_id']}")).json["log"]]
    assert (1, 0) == (attempt["attempt"], attempt["dropped_count"])
    retried = await shop.run_job("second_time")
    (event,) = (await client.get(f"/api/v1/runs/{retried.run_id}")).json["events"]
    assert ("retried", True) == (event["kind"], event["at"].endswith("Z"))
    assert "not yet" in str(event["detail"])
    assert (1, 2, True) == (run["progress"]["done"], run["progress"]["total"], run["progress"]["at"].endswith("Z"))
    missing = await client.get("/api/v1/runs/0123456789")
    assert (404, "there is no run '0123456789'") == (missing.status, missing.json["detail"])


async def test_schedules_and_backfills_are_listed(client: Client, shop: JobApp) -> None:
    assert [["a/daily"], ["hourly"]] == await pages(client, "schedules?limit=1", "job_id")
    (daily,) = (await client.get("/api/v1/schedules?limit=1")).json["items"]
    assert (1, False, "UTC") == (daily["version"], daily["paused"], daily["timezone"])
    made = [await shop.backfill("hourly", START, START + timedelta(hours=n)) for n in (1, 2)]
    for one in made:
        await one.wait()
    ids = [one.backfill_id for one in reversed(made)]
    assert [ids[:1], ids[1:]] == await pages(client, "backfills?limit=1", "backfill_id")
    assert [ids] == await pages(client, "backfills?job=hourly", "backfill_id")
    shown = (await client.get(f"/api/v1/backfills/{ids[0]}")).json
    assert ("finished", 0, "2013-03-10T00:00:00Z") == (shown["state"], shown["failed"], shown["start"])
    assert 404 == (await client.get("/api/v1/backfills/none")).status
    assert 404 == (await client.get("/api/v1/backfills?job=none")).status


async def test_configs_and_schedules_are_listed_with_their_past(client: Client, shop: JobApp) -> None:
    for number in range(3):
        await shop.put_config("hourly", {"api_key": "k", "n": number}, comment=f"number {number}")
    await shop.set_schedule("hourly", cron="30 * * * *")
    first = (await client.get("/api/v1/config-versions?job=hourly&limit=2")).json
    assert [(3, "number 2"), (2, "number 1")] == [(one["version"], one["comment"]) for one in first["items"]]
    assert {"api_key": "***", "n": 2} == first["items"][0]["values"]
    rest = (await client.get(f"/api/v1/config-versions?job=hourly&before={first['next']}")).json
    assert ([1], None) == ([one["version"] for one in rest["items"]], rest["next"])
    versions = (await client.get("/api/v1/schedule-versions?job=hourly")).json["items"]
    assert ["override", "code"] == [one["origin"] for one in versions]
    assert "minute 30 of every hour (America/New_York)" == versions[0]["schedule"]
    (_, hourly) = (await client.get("/api/v1/schedules")).json["items"]
    assert (True, 2) == (hourly["overridden"], hourly["version"])
    assert 404 == (await client.get("/api/v1/config-versions?job=none")).status
    assert 404 == (await client.get("/api/v1/schedule-versions?job=none")).status


async def test_lists_without_end_come_in_pages(client: Client, shop: JobApp) -> None:
    async def numbers(path: str, key: str) -> list[int]:
        """Follow `next` of pages of one item each."""
        found, place = list[int](), ""
        while True:
            page = (await client.get(f"/api/v1/{path}limit=1{place}")).json
            found += [one[key] for one in page["items"]]
            if page["next"] is None:
                return found
            place = f"&before={page['next']}"

    for minute in (30, 40):
        await shop.set_schedule("hourly", cron=f"{minute} * * * *")
    assert [3, 2, 1] == await numbers("schedule-versions?job=hourly&", "version")
    others = [await shop.store.open_node(f"other:{number}") for number in range(2)]
    assert [*reversed(others), shop.epoch] == await numbers("nodes?", "epoch")
    wrong = ("nodes?before=0", "schedule-versions?job=hourly&before=x", "dead-letters?after=1", "backfills?before=xx")
    for path in wrong:
        assert 400 == (await client.get(f"/api/v1/{path}")).status


async def test_a_config_that_is_no_json_is_shown_all_the_same() -> None:
    app = make_shop()
    app.job("odd", config={"raw": b"\xff", "ratio": math.nan, "client": object(), "by": {1: "\ud800"}})(print)
    async with opened(app):
        shown = (await Client(make_api(app, no_program), {}).get("/api/v1/jobs/odd")).json
    assert {"raw": "\\xff", "ratio": None, "client": "<object>", "by": {"1": "\\ud800"}} == shown["config"]


async def test_a_statistic_that_is_no_number_is_null(client: Client) -> None:
    class ShopRatioStatistic(Statistic):
        ratio: float

    statistic = ShopRatioStatistic("x")
    statistic.ratio = math.nan
    (found,) = (await client.get("/api/v1/statistics?kind=ShopRatioStatistic")).json["items"]
    assert ("ratio", None) == (found["metric"], found["value"])


async def test_the_program_is_shown(shop: JobApp) -> None:
    one = ServiceHealth(name="Web", state="running", ready=True, healthy=False, restart_count=2, error="OSError: x")
    client = Client(make_api(shop, lambda: HealthReport(ready=True, healthy=False, services=(one,))), {})
    services = (await client.get("/api/v1/services")).json
    assert (False, "Web", "OSError: x") == (
        services["healthy"],
        services["services"][0]["name"],
        services["services"][0]["error"],
    )
    (node,) = (await client.get("/api/v1/nodes")).json["items"]
    assert (True, True, 0) == (node["alive"], node["here"], node["running"])
    app = (await client.get("/api/v1/app")).json
    assert ("shop", 5, "memory", []) == (app["label"], app["jobs"], app["store"], app["queues"])
    found = (await client.get("/api/v1/statistics?kind=ThreadPoolStatistic")).json["items"]
    assert {"ThreadPoolStatistic"} == {one["kind"] for one in found}
    unready = await client.get("/readyz")
    assert (503, "not ready: Web") == (unready.status, unready.json["checks"]["services"])


async def test_outside_of_a_program_there_are_no_services(client: Client) -> None:
    assert {"ready": True, "healthy": True, "services": []} == (await client.get("/api/v1/services")).json


async def test_sinks_and_dead_letters_are_shown() -> None:
    app = make_shop()
    at_once = Backoff.constant(0.0, max_tries=1)
    terms = Delivery(retry=at_once, spool_retry=Backoff.constant(0.0), spool_tries=1, on_failure="spool")

    @app.sink(dict, name="down", delivery=terms)
    async def down(batch: list[dict[str, object]]) -> None:
        raise OSError("refused")

    @app.job("load")
    async def load(ctx: JobContext) -> None:
        await ctx.emit({"raw": b"\xff", "n": [1, (2,)]})

    client = Client(make_api(app, no_program), {})
    assert {"folder": None, "waiting": 0, "dead": 0, "size_bytes": 0} == (await client.get("/api/v1/spool")).json
    assert [] == (await client.get("/api/v1/dead-letters")).json["items"]
    async with opened(app):
        await app.run_job(load)
        await eventually(lambda: app.spool_stats().dead_count == 1)
        (sink,) = (await client.get("/api/v1/sinks")).json["items"]
        assert ("down", 0, 0, 1) == (sink["sink"], sink["waiting"], sink["written"], sink["spooled"])
        spool = (await client.get("/api/v1/spool")).json
        assert (0, 1) == (spool["waiting"], spool["dead"])
        (letter,) = (await client.get("/api/v1/dead-letters?sink=down")).json["items"]
        assert ("load", [{"raw": "\\xff", "n": [1, [2]]}]) == (letter["job_id"], letter["items"])
        assert [] == (await client.get("/api/v1/dead-letters?sink=up")).json["items"]
        await app.run_job(load)
        await eventually(lambda: app.spool_stats().dead_count == 2)
        first = (await client.get("/api/v1/dead-letters?limit=1")).json
        assert ([letter], letter["letter_id"]) == (first["items"], first["next"])
        rest = (await client.get(f"/api/v1/dead-letters?limit=1&after={first['next']}")).json
        assert (1, None, False) == (len(rest["items"]), rest["next"], rest["items"] == first["items"])


async def test_wrong_requests_are_problems_that_say_where(client: Client) -> None:
    for path, where in (
        ("/api/v1/runs?limit=0", "query.limit"),
        ("/api/v1/runs?state=odd", "query.state.0"),
        ("/api/v1/runs?since=yesterday", "query.since"),
        ("/api/v1/runs?before=xx", "query.before"),
    ):
        answer = await client.get(path)
        assert (400, where) == (answer.status, answer.json["errors"][0]["where"])
        assert "application/problem+json" == answer.headers["content-type"]
    for number in ("20130310", "-9.5"):
        answer = await client.get(f"/api/v1/runs?since={number}")
        said = f"since={number} is a number; give an instant, as 2013-03-10T05:00:00Z"
        assert (400, said) == (answer.status, answer.json["detail"])
    naive = await client.get("/api/v1/runs?since=2013-01-01T00:00:00")
    assert (400, "since needs its offset, as 2013-01-01T00:00:00Z") == (naive.status, naive.json["detail"])
    assert 422 == (await client.get(f"/api/v1/runs/{'x' * 201}")).status
    assert 404 == (await client.get("/api/v1/nothing")).status
    assert 405 == (await client.send("POST", "/api/v1/runs")).status
    assert "Not Found" == (await client.get("/nothing")).json["title"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("runs?states=failed", "no parameter 'states': it has backfill, before, job, limit, since, state, text, until"),
        ("jobs/hourly?limit=5", "/api/v1/jobs/hourly has no parameter 'limit': it has none"),
        ("nodes?limit=5&after=1", "no parameter 'after': it has before, limit"),
    ],
)
async def test_a_parameter_that_a_path_does_not_know_is_refused(client: Client, path: str, said: str) -> None:
    answer = await client.get(f"/api/v1/{path}")
    assert (400, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert said in answer.json["detail"]


async def test_head_is_answered_as_get_without_a_body(client: Client) -> None:
    for path in ("/api/v1/jobs", "/api/v1/jobs/none", "/api/v1/runs?states=x", "/api/v1/openapi.json", "/healthz", "/"):
        got, head = await client.get(path), await client.send("HEAD", path)
        assert (got.status, got.headers, b"") == (head.status, head.headers, head.body)
        assert str(len(got.body)) == head.headers["content-length"]


async def test_trouble_of_the_store_is_503_and_a_bug_500_without_its_text(
    client: Client, shop: JobApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def busy(**_: object) -> object:
        raise StoreBusyError(store="x.db", reason="busy")

    async def broken(**_: object) -> object:
        raise RuntimeError("a secret")

    monkeypatch.setattr(shop.store, "backfills", busy)
    answer = await client.get("/api/v1/backfills")
    assert 503 == answer.status
    unready = await client.get("/readyz")
    assert (503, "StoreBusyError") == (unready.status, unready.json["checks"]["store"])
    monkeypatch.setattr(shop.store, "backfills", broken)
    with pytest.raises(RuntimeError):
        await client.get("/api/v1/backfills")  # answered, then raised for the server's log


async def test_readiness_is_told_check_by_check(client: Client, shop: JobApp) -> None:
    ready = await client.get("/readyz")
    assert (200, True) == (ready.status, ready.json["ready"])
    assert {"app": "ok", "store": "ok", "node": "ok", "services": "ok"} == ready.json["checks"]
    assert "ok\n" == (await client.get("/healthz")).text
    assert 200 == (await client.send("HEAD", "/healthz")).status
    await shop.close()
    closed = await client.get("/readyz")
    assert (503, "the app is not open") == (closed.status, closed.json["checks"]["app"])
    assert "no node is registered" == closed.json["checks"]["node"]


async def test_the_index_and_the_schema_say_what_there_is(client: Client) -> None:
    index = (await client.get("/")).json
    assert ("shop", "/api/v1") == (index["app"], index["api"])
    schema = (await client.get(index["openapi"])).json
    paths = schema["paths"]
    assert {"get"} == {method for one in paths.values() for method in one}
    assert 16 == len(paths)
    for path, one in paths.items():
        answers = one["get"]["responses"]
        assert path.startswith("/api/v1/")
        assert {"200", "400", "401", "404", "413", "421", "422", "429", "503"} == answers.keys()
        assert {"Retry-After"} == answers["429"]["headers"].keys()
        assert "application/problem+json" in answers["422"]["content"]
        assert [{"HTTPBearer": []}] == one["get"]["security"]
        assert one["get"]["summary"]
    assert 404 == (await client.get("/docs")).status
