"""The event stream: in order, bounded, and silent while nobody listens."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.jobs.engine.support_engine import make_app, running

from mainspring.base import decode_json
from mainspring.errors import ClosedError, InvalidArgumentError
from mainspring.jobs import JobEvent, RunRecord, Subscription
from mainspring.jobs.engine._events import EventStream


async def test_what_happens_to_a_run_is_told_in_order(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    gate = asyncio.Event()

    @app.job("flaky", retry=1)
    async def flaky(ctx: object) -> None:
        if not gate.is_set():
            gate.set()
            raise OSError("not yet")

    async with running(app), app.events() as events:
        result = await app.run_job("flaky")
        seen = [await anext(events) for _ in range(4)]
    assert [event.name for event in seen] == ["started", "retried", "started", "succeeded"]
    assert {event.record.run_id for event in seen} == {result.run_id}
    assert seen == sorted(seen, key=lambda event: event.at)
    assert [event async for event in events] == []


async def some_record(path: Path) -> RunRecord:
    app = make_app(path)

    @app.job("call")
    async def call() -> None: ...

    async with running(app):
        record = await app.run((await app.run_job("call")).run_id)
    assert record is not None
    return record


async def test_a_reader_that_is_behind_loses_the_oldest_and_is_told_how_many(tmp_path: Path) -> None:
    record = await some_record(tmp_path)
    stream = EventStream(lambda record: record)
    async with stream.subscribe(most=2) as events:
        for name in ("started", "retried", "failed"):
            stream.publish(name, record)
        assert ((await anext(events)).name, events.dropped_count) == ("retried", 1)
        assert "1 waiting, 1 dropped" in repr(events)
        waiting = asyncio.create_task(anext(events))
        assert (await waiting).name == "failed"
        ends = asyncio.create_task(read_all(events))
        await asyncio.sleep(0)
    assert await ends == []
    stream.publish("started", record)
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def read_all(events: Subscription) -> list[JobEvent]:
    return [event async for event in events]


async def test_a_subscription_is_read_inside_of_its_block() -> None:
    events = EventStream(lambda record: record).subscribe()
    with pytest.raises(ClosedError, match="the subscription"):
        await anext(events)
    with pytest.raises(InvalidArgumentError, match="most"):
        EventStream(lambda record: record).subscribe(most=0)
    async with events:
        pass


async def test_no_event_shows_a_secret_of_the_run(tmp_path: Path) -> None:
    """Neither of its call, nor of its declaration or a stored version, in the value that it returns."""
    app = make_app(tmp_path)

    @app.job("leaky", config={"token": "declared-token", "host": "db"})
    async def leaky(config: dict[str, object]) -> dict[str, object]:
        return config

    async with running(app), app.events() as events:
        await app.put_config(leaky, {"api_key": "stored-key"})
        result = await app.run_job(leaky, config={"password": "call-secret", "rows": 5})
        seen = [await anext(events) for _ in range(2)]
        kept = await app.run(result.run_id)
    for secret in ("call-secret", "declared-token", "stored-key"):
        assert secret not in repr(seen)
    assert (b'{"password":"***","rows":5}', b'{"password":"***","rows":5}') == (
        seen[0].record.config,
        seen[1].record.config,
    )
    shown = {"token": "***", "host": "db", "api_key": "***", "password": "***", "rows": 5}
    assert shown == decode_json(seen[1].record.value or b"")
    assert kept is not None
    assert "call-secret" == result.value["password"] == decode_json(kept.config or b"", dict)["password"]
