"""`/metrics` in Prometheus' own words: read back by its own parser, and true to what happened."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families
from tests.unit.web.support_web import START, Client, make_shop, opened

from mainspring.base import Statistic
from mainspring.errors import StoreBusyError, UnknownJobError
from mainspring.jobs import JobApp
from mainspring.testing import eventually
from mainspring.web._api import make_api
from mainspring.web._metrics import metrics_page
from mainspring.web._program import no_program

pytestmark = pytest.mark.extras


class PriceFeedStatistic(Statistic):
    ticks: int


Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(app: JobApp) -> Samples:
    text = (await metrics_page(app)).decode()
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, "each series once"
            found[key] = sample.value
    return found


def value(found: Samples, series: str, /, **labels: str) -> float:
    return found[series, frozenset(labels.items())]


async def test_runs_durations_and_the_store_are_counted() -> None:
    app = make_shop()
    async with opened(app):
        await asyncio.gather(*(app.run_job("greet", {"name": "x"}) for _ in range(3)), app.run_job("boom"))
        backfill = await app.backfill("hourly", START, START + timedelta(hours=2))
        await backfill.wait()
        await eventually(lambda: app.metrics.ended_count == 6)
        with pytest.raises(UnknownJobError):
            await app.run_job("an-id-of-nobody")
        app.metrics.store_failed("claim")
        found = await samples(app)
    assert 1 == value(found, "mainspring_refused_calls_total", reason="unknown_job")
    assert 1 == value(found, "mainspring_store_errors_total", call="claim")
    assert "an-id-of-nobody" not in str(found)
    assert 3 == value(found, "mainspring_runs_total", job="greet", state="succeeded")
    assert 1 == value(found, "mainspring_runs_total", job="boom", state="failed")
    assert 3 == value(found, "mainspring_run_duration_seconds_count", job="greet")
    assert 3 == value(found, "mainspring_run_duration_seconds_bucket", job="greet", le="+Inf")
    assert 1 == value(found, "mainspring_run_lag_seconds_bucket", job="boom", le="3600.0")
    assert 6 == value(found, "mainspring_store_seconds_count", call="finish")
    assert 6 == value(found, "mainspring_claimed_runs_total")
    assert 1 == value(found, "mainspring_store_up")
    assert 1 == value(found, "mainspring_nodes")
    assert value(found, "mainspring_watermark_age_seconds", job="hourly") > 86_400
    assert 0 == value(found, "mainspring_dead_letters") == value(found, "mainspring_spool_bytes")


async def test_a_queue_is_as_old_as_what_waits_in_it() -> None:
    app = make_shop(queues=("other",))
    async with opened(app):
        await app.run_job("greet", {"name": "x"}, wait=False)
        found = await samples(app)
    assert 0 <= value(found, "mainspring_queue_age_seconds", queue="default") < 60


async def test_statistics_of_one_name_are_added_up() -> None:
    mine = [PriceFeedStatistic("eu"), PriceFeedStatistic("eu"), PriceFeedStatistic('odd "name"\n')]
    for one in mine:
        one.ticks = 2
    found = await samples(make_shop())
    assert 4 == value(found, "mainspring_price_feed_ticks", name="eu")
    assert 2 == value(found, "mainspring_price_feed_ticks", name='odd "name"\n')


async def test_a_store_out_of_reach_costs_its_own_numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(**_: object) -> object:
        raise StoreBusyError(store="x.db", reason="busy")

    app = make_shop()
    async with opened(app):
        await app.run_job("boom")
        await eventually(lambda: app.metrics.ended_count == 1)
        monkeypatch.setattr(app.store, "nodes", busy)
        found = await samples(app)
    assert 0 == value(found, "mainspring_store_up")
    assert 1 == value(found, "mainspring_runs_total", job="boom", state="failed")
    assert not [name for name, _ in found if name == "mainspring_nodes"]


async def test_an_app_of_many_jobs_has_histograms_for_the_busiest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.web._metrics.JOBS_SHOWN", 1)
    app = make_shop()
    async with opened(app):
        for name in ("boom", "greet", "greet", "hourly"):
            await app.run_job(name, {"name": "x"})
        await eventually(lambda: app.metrics.ended_count == 4)
        found = await samples(app)
    assert 2 == value(found, "mainspring_run_duration_seconds_count", job="greet")
    assert 2 == value(found, "mainspring_run_duration_seconds_count", job="(others)")
    assert 2 == value(found, "mainspring_run_lag_seconds_bucket", job="(others)", le="+Inf")
    assert 1 == value(found, "mainspring_runs_total", job="hourly", state="succeeded")


async def test_many_readers_share_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    async def counted(app: JobApp) -> bytes:
        nonlocal made
        made += 1
        return await metrics_page(app)

    monkeypatch.setattr("mainspring.web._api.metrics_page", counted)
    client = Client(make_api(make_shop(), no_program), {})
    answers = await asyncio.gather(*(client.get("/metrics") for _ in range(5)))
    assert (1, 1) == (made, len({one.body for one in answers}))
    assert answers[0].headers["content-type"].startswith("text/plain; version=0.0.4")
