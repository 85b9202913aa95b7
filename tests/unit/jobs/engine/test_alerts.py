"""Alerts: after the last attempt and on lateness, once each, bounded, and never at the cost of a run."""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.jobs.engine.support_engine import START, at, make_app, running
from tests.unit.tools.support_webhooks import LARK_OK, OK, served

from mainspring.base import Backoff, new_id
from mainspring.errors import InvalidArgumentError, JobDefinitionError
from mainspring.jobs import Alert, AlertChannel, JobApp, RunState
from mainspring.jobs.engine import _alerts
from mainspring.jobs.stores import Claim, Enqueue, MemoryData, MemoryStore, NewRun, RunKind, RunRecord
from mainspring.testing import VirtualClock
from mainspring.tools import LarkBot, Notifier, SlackBot


class Channel:
    """A notifier that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def notify(self, channel: str, msg: Any, /) -> bool:
        self.sent.append((channel, msg))
        return True


async def fails() -> None:
    raise OSError("disk is full")


async def leaks(config: dict[str, str]) -> None:
    raise OSError(f"refused {config['password']}")


async def test_only_the_last_attempt_alerts(tmp_path: Path) -> None:
    app, told = make_app(tmp_path), list[Alert]()

    async def tell(alert: Alert) -> None:
        told.append(alert)

    app.job("load", retry=1, alert=tell)(fails)
    async with running(app):
        result = await app.run_job("load")
    (alert,) = told
    assert (alert.kind, alert.job_id, alert.run_id, alert.state) == ("failed", "load", result.run_id, RunState.FAILED)
    assert (alert.attempt, alert.error, alert.data_interval) == (2, "OSError: disk is full", None)
    assert alert.text == f"load failed after 2 attempts: OSError: disk is full (run {result.run_id})"


async def test_a_plain_function_runs_in_a_thread_and_may_return_an_awaitable(tmp_path: Path) -> None:
    app, threads, waited = make_app(tmp_path), list[str](), list[str]()

    async def later(alert: Alert) -> None:
        waited.append(alert.job_id)

    def tell(alert: Alert) -> Any:
        threads.append(threading.current_thread().name)
        return later(alert)

    app.job("load", alert=tell)(fails)
    async with running(app):
        await app.run_job("load")
    assert threads[0] != threading.main_thread().name
    assert waited == ["load"]


@pytest.mark.parametrize("form", ["itself", "channel", "name", "channel by name", "function by name"])
async def test_a_channel_is_a_notifier_one_of_its_channels_or_a_resource(tmp_path: Path, form: str) -> None:
    app, channel = make_app(tmp_path), Channel()
    told: list[Alert] = []

    @app.resource
    async def people() -> AsyncGenerator[Any]:
        yield told.append if form == "function by name" else channel

    options: dict[str, Any] = {
        "itself": channel,
        "channel": AlertChannel(channel, "ops"),
        "name": "people",
        "channel by name": AlertChannel("people", "ops"),
        "function by name": "people",
    }
    app.job("load", alert=options[form])(fails)
    async with running(app):
        await app.run_job("load")
    if form == "function by name":
        assert [alert.job_id for alert in told] == ["load"]
    else:
        ((where, text),) = channel.sent
        assert where == ("ops" if "channel" in form else "alerts")
        assert text.startswith("load failed after 1 attempt: OSError: disk is full")


@pytest.mark.extras
async def test_a_real_notifier_posts_the_sentence_to_its_webhooks(tmp_path: Path) -> None:
    async with (
        served({"status": 429, "headers": {"Retry-After": "0"}}, OK) as (slack, slack_bodies),
        served(LARK_OK) as (lark, lark_bodies),
        Notifier.direct(
            {"alerts": SlackBot(slack), "ops": LarkBot(lark, "key")}, backoff=Backoff(0.001, max_tries=4)
        ) as notifier,
    ):
        app = make_app(tmp_path)
        app.job("load", retry=1, alert=notifier)(fails)
        ops, secret = AlertChannel("people", "ops"), {"password": "hunter22"}
        app.job("other", alert=ops, resources={"people": notifier}, config=secret)(leaks)
        async with running(app):
            failed, leaked = await app.run_job("load"), await app.run_job("other")
    said = f"load failed after 2 attempts: OSError: disk is full (run {failed.run_id})"
    assert [said, said] == [body["text"] for body in slack_bodies]
    assert slack_bodies[0]["KEY"] == slack_bodies[1]["KEY"], "tried again, and to be shown once"
    (body,) = lark_bodies
    assert f"other failed after 1 attempt: OSError: refused *** (run {leaked.run_id})" == body["content"]["text"]


async def test_what_no_alert_can_go_to_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    wrong: Any = 5
    with pytest.raises(JobDefinitionError, match="a function, a Notifier"):
        app.job("wrong", alert=wrong)(fails)
    with pytest.raises(JobDefinitionError, match="sla"):
        app.job("wrong", every=1, sla=0)(fails)
    with pytest.raises(JobDefinitionError, match="sla"):
        app.job("wrong", sla=5)(fails)
    app.job("load", alert="nobody")(fails)
    with pytest.raises(InvalidArgumentError, match="a resource of job 'load': it has none"):
        await app.open()
    with pytest.raises(JobDefinitionError, match="a function, a Notifier"):
        app.job("wrong", alert=0)(fails)  # type: ignore[arg-type]  # what is tested
    for nothing in (False, 0):
        with pytest.raises(InvalidArgumentError, match="a function, a Notifier"):
            JobApp("t", store="memory", alert=nothing)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidArgumentError, match="a resource of the app: it has none"):
        await JobApp("t", store="memory", alert=AlertChannel("nobody")).open()


async def test_jobs_that_declare_no_alert_have_that_of_the_app(tmp_path: Path) -> None:
    app, channel, own = make_app(tmp_path, alert="people"), Channel(), Channel()

    @app.resource
    async def people() -> AsyncGenerator[Channel]:
        yield channel

    app.job("plain")(fails)
    app.job("named", resources={"people": Channel()})(fails)  # a name is that of the app's resource
    app.job("own", alert=own)(fails)
    app.job("quiet", alert=False)(fails)
    async with running(app):
        for job in ("plain", "named", "own", "quiet"):
            await app.run_job(job)
    assert [["plain", "named"], ["own"]] == [[text.split()[0] for _, text in one.sent] for one in (channel, own)]


@pytest.mark.parametrize("last_rescue", ["while it runs", "as it starts"])
async def test_a_failed_run_of_a_job_that_is_gone_has_the_alert_of_the_app(
    virtual_clock: VirtualClock, last_rescue: str
) -> None:
    """Its nodes died as often as they may; it is found out by one that does not have the job."""
    data, told = MemoryData(), list[Alert]()

    async def tell(alert: Alert) -> None:
        told.append(alert)

    old = JobApp("t", store=MemoryStore(data, lease=10.0))
    new = JobApp("t", store=MemoryStore(data), alert=tell)
    old.job("gone")(fails)
    new.job("kept")(fails)
    await old.open(runner=False)
    run = await old.run_job("gone", wait=False)
    for is_last in (False, False, True):
        if is_last and last_rescue == "while it runs":
            await new.start()
        epoch = await old.store.open_node("dies")
        await old.store.claim(Claim(epoch=epoch, limit=1, jobs=frozenset({"gone"})))
        await virtual_clock.advance(60)
        if not is_last:
            await old.store.rescue()
    if last_rescue == "as it starts":
        await new.start()
    await virtual_clock.advance(60)
    await new.stop()
    await old.close()
    assert [("failed", "gone", run.run_id, RunState.FAILED)] == [
        (one.kind, one.job_id, one.run_id, one.state) for one in told
    ]


async def test_an_app_can_be_given_its_alert_before_it_is_opened(tmp_path: Path) -> None:
    app, channel = make_app(tmp_path), Channel()
    app.job("load")(fails)
    app.adjust(alert=AlertChannel(channel, "ops"))
    app.adjust(slots=5)
    async with running(app):
        await app.run_job("load")
    assert ["ops"] == [where for where, _ in channel.sent]


async def test_an_alert_that_fails_or_hangs_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_alerts, "ALERT_TIMEOUT", 0.05)
    app = make_app(tmp_path)

    async def breaks(alert: Alert) -> None:
        raise ValueError("no line")

    async def hangs(alert: Alert) -> None:
        await asyncio.Event().wait()

    app.job("one", alert=breaks)(fails)
    app.job("two", alert=hangs)(fails)
    async with running(app):
        results = [await app.run_job(job) for job in ("one", "two", "one")]
    assert {result.state for result in results} == {RunState.FAILED}
    assert caplog.text.count("an alert was not delivered") == 3


def test_more_than_can_wait_are_dropped_and_the_end_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    app = JobApp("t", store="memory", drain_timeout=2.0)

    async def hangs(alert: Alert) -> None:
        await asyncio.Event().wait()

    app.job("load", alert=hangs)(fails)

    async def main() -> None:
        async with running(app):
            await asyncio.gather(*(app.run_job("load") for _ in range(_alerts.MOST_WAITING + 10)))

    with VirtualClock(START) as clock:
        clock.run(main())
        assert clock.monotonic() < 10
    assert "an alert is dropped, 100 others wait" in caplog.text
    assert "alerts were not delivered before the end" in caplog.text


def test_a_bare_loop_that_ends_at_once_still_tells(tmp_path: Path) -> None:
    """`asyncio.run` cancels every task before it lets the app close itself."""
    app, told = make_app(tmp_path, drain_timeout=30.0), list[str]()

    async def tell(alert: Alert) -> None:
        await asyncio.sleep(0.01)
        told.append(alert.job_id)

    app.job("load", alert=tell)(fails)

    async def main() -> None:
        await asyncio.gather(*(app.run_job("load") for _ in range(7)))

    asyncio.run(asyncio.wait_for(main(), 20))
    assert told == ["load"] * 7


class Nightly:
    """A job that fires each hour and takes as long as it is told; notes when it was said to be late."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.late: list[tuple[float, RunState]] = []
        self.app = JobApp("t", store="memory", poll_interval=60.0)
        self.app.job("nightly", every=3600, sla=600, alert=self._tell)(self._handle)

    async def _handle(self) -> None:
        await asyncio.sleep(self.seconds)

    async def _tell(self, alert: Alert) -> None:
        assert alert.scheduled_at is not None
        assert alert.kind == "late"
        assert f"is late: it had 600 s and is {alert.state}" in alert.text
        self.late.append((asyncio.get_running_loop().time(), alert.state))

    def live(self, hours: float) -> list[tuple[float, RunState]]:
        async def main() -> None:
            async with running(self.app) as app:
                await asyncio.sleep(hours * 3600)
                for run in await app.runs(limit=100):
                    events = await app.store.events(run.run_id)
                    assert len(events) <= 1

        with VirtualClock(at(0.5)) as clock:
            clock.run(main())
        return self.late


def test_a_run_that_has_not_ended_in_time_is_late_once_when_its_time_is_over() -> None:
    nightly = Nightly()
    nightly.seconds = 3000
    late = nightly.live(3)
    assert [round(when - 1800) % 3600 for when, _ in late] == [600, 600, 600]
    assert {state for _, state in late} == {RunState.RUNNING}


def test_a_run_that_ended_in_time_is_not_late() -> None:
    nightly = Nightly()
    nightly.seconds = 500
    assert nightly.live(3) == []


def test_a_run_that_came_and_ended_late_is_late() -> None:
    """The app was away when its time came: it starts when it is over, and ends before anybody looks."""
    app, late = JobApp("t", store="memory"), list[Alert]()

    async def tell(alert: Alert) -> None:
        late.append(alert)

    @app.job("hours", every=3600, start_at=START, missed="all", sla=600, alert=tell)
    async def hours() -> None: ...

    async def main() -> None:
        async with running(app):
            await asyncio.sleep(60)

    with VirtualClock(at(3.5)) as clock:
        clock.run(main())
    assert [alert.scheduled_at for alert in sorted(late, key=lambda one: one.run_id)] == [at(1), at(2), at(3)]
    assert RunState.SUCCEEDED in {alert.state for alert in late}


class Thinks(MemoryStore):
    """A store that takes its time to answer which of the ended runs were late."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def note_late(self, job_id: str, *, scheduled_before: int, ended: Sequence[str] = ()) -> Sequence[RunRecord]:
        found = await super().note_late(job_id, scheduled_before=scheduled_before, ended=ended)
        if ended:
            self.asked.set()
            await self.answers.wait()
        return found


def test_a_run_that_ends_late_while_the_store_is_asked_about_another_is_told_too() -> None:
    store, late = Thinks(), list[str]()
    app = JobApp("t", store=store, schedule=False)

    async def tell(alert: Alert) -> None:
        late.append(alert.run_id)

    @app.job("hours", every=3600, sla=600, alert=tell)
    async def hours() -> None: ...

    async def ends_late() -> str:
        now = store.now()
        run = NewRun(
            run_id=new_id(), job_id="hours", kind=RunKind.SCHEDULE, available_at=now, scheduled_at=now - 3_600_000_000
        )
        await store.enqueue(Enqueue(run=run))
        await app.wait_for_run(run.run_id)
        return run.run_id

    async def main() -> None:
        async with running(app):
            await asyncio.sleep(1)
            first = await ends_late()
            await store.asked.wait()
            second = await ends_late()
            store.answers.set()
            await asyncio.sleep(60)
            assert [first, second] == late

    with VirtualClock(at(0.5)) as clock:
        clock.run(main())


async def test_calls_and_backfills_are_never_late(tmp_path: Path) -> None:
    app, late = make_app(tmp_path), list[Alert]()

    async def tell(alert: Alert) -> None:
        late.append(alert)

    @app.job("hours", every=3600, sla=1, alert=tell)
    async def hours() -> None: ...

    async with running(app):
        await (await app.backfill("hours", START, START + timedelta(hours=3))).wait()
        await app.run_job("hours", scheduled_time=START)
    assert late == []


class Odd(BaseException):
    """What nobody expects of an alert."""


async def exits(alert: Alert) -> None:
    sys.exit(3)


def exits_in_a_thread(alert: Alert) -> None:
    sys.exit(3)


async def raises_odd(alert: Alert) -> None:
    raise Odd("odd")


async def cancels_itself(alert: Alert) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.Event().wait()


async def awaits_what_is_cancelled(alert: Alert) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("tell", [exits, exits_in_a_thread, raises_odd, cancels_itself, awaits_what_is_cancelled])
async def test_an_alert_that_ends_in_an_odd_way_harms_nothing(
    tmp_path: Path, tell: Callable[[Alert], object], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as any that fails; more of them than are delivered at once leave the next one its turn."""
    app, told = make_app(tmp_path), asyncio.Event()

    async def well(alert: Alert) -> None:
        told.set()

    async def fails() -> None:
        raise ValueError("no luck")

    app.job("odd", alert=tell)(fails)
    app.job("well", alert=well)(fails)
    async with running(app):
        for _ in range(5):
            await app.run_job("odd")
        await app.run_job("well")
        async with asyncio.timeout(30):
            await told.wait()
    assert 5 == sum("an alert was not delivered" in one.message for one in caplog.records)
