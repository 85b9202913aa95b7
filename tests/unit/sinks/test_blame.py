"""Who is blamed for a batch that a sink does not take: the runs whose own items fail, and nobody waits for ever."""

import asyncio
from collections.abc import Sequence
from typing import Self

import pytest

from mainspring.base import Backoff
from mainspring.errors import CircuitBroken, SinkWriteError
from mainspring.sinks import Delivery
from mainspring.sinks._batcher import Batcher
from mainspring.sinks._tickets import Entry, Ticket
from mainspring.testing import VirtualClock

_AT_ONCE = Backoff.constant(0.0, max_tries=3)


async def _put(batcher: Batcher, ticket: Ticket, *payloads: object) -> None:
    for payload in payloads:
        await batcher.put(ticket, payload)


def _run() -> Ticket:
    return Ticket("t", run_id="r", job_id="j")


class Choosy:
    """A sink that refuses batches with certain items, and counts its calls."""

    def __init__(self, *bad: object, error: Exception | None = None) -> None:
        self.bad = bad
        self.error = error or ValueError("bad item")
        self.calls: list[list[object]] = []
        self.got: list[object] = []

    async def write(self, entries: Sequence[Entry]) -> None:
        items = [entry.item for entry in entries]
        self.calls.append(items)
        if any(item in self.bad for item in items):
            raise self.error
        self.got += items


async def test_a_bad_item_fails_its_own_run_and_no_neighbour() -> None:
    target, bad, good, nobody = Choosy(2), _run(), _run(), Ticket("t")
    batcher = Batcher(target.write, label="t", delivery=Delivery(retry=_AT_ONCE, max_seconds=3600))
    await _put(batcher, good, 1)
    await _put(batcher, bad, 2, 3)
    await _put(batcher, nobody, 4)
    await _put(batcher, good, 5)
    with pytest.raises(SinkWriteError, match="could not write 2 items: ValueError: bad item"):
        await batcher.flush(bad)
    await batcher.flush(good)
    await batcher.flush(nobody)
    assert [1, 5, 4] == target.got
    assert [[1, 2, 3, 4, 5]] * 3 + [[1, 5], [2, 3], [4]] == target.calls
    await batcher.close()


async def test_a_sink_that_is_down_is_not_asked_for_every_run_of_a_batch() -> None:
    items, runs = range(10), [_run() for _ in range(10)]
    target = Choosy(*items)
    batcher = Batcher(target.write, label="t", delivery=Delivery(retry=_AT_ONCE, max_seconds=3600))
    for run, item in zip(runs, items, strict=True):
        await _put(batcher, run, item)
    for run in runs:
        with pytest.raises(SinkWriteError, match="could not write 1 item: ValueError: bad item"):
            await batcher.flush(run)
    assert [list(items)] * 3 + [[0], [1], [2]] == target.calls
    await batcher.close()


@pytest.mark.parametrize("error", [TimeoutError("no answer"), CircuitBroken(retry_after=86_400)])
async def test_a_sink_that_is_out_of_reach_is_not_asked_again(error: Exception) -> None:
    target, first, second = Choosy(1, 2, error=error), _run(), _run()
    terms = Delivery(retry=Backoff.constant(0.0, max_tries=1), max_seconds=3600)
    batcher = Batcher(target.write, label="t", delivery=terms)
    await _put(batcher, first, 1)
    await _put(batcher, second, 2)
    for run in (first, second):
        with pytest.raises(SinkWriteError, match=type(error).__name__):
            await batcher.flush(run)
    assert [[1, 2]] == target.calls
    await batcher.close()


async def test_a_run_that_failed_meanwhile_is_not_tried_by_itself() -> None:
    first, gone = _run(), _run()
    calls: list[list[object]] = []

    async def write(entries: Sequence[Entry]) -> None:
        calls.append([entry.item for entry in entries])
        if len(calls) == 2:
            batcher.withdraw(gone)
        raise ValueError("bad item")

    terms = Delivery(retry=Backoff.constant(0.0, max_tries=1), max_seconds=3600)
    batcher = Batcher(write, label="t", delivery=terms)
    await _put(batcher, first, 1)
    await _put(batcher, gone, 2)
    with pytest.raises(SinkWriteError):
        await batcher.flush(first)
    await batcher.flush(gone)
    assert [[1, 2], [1]] == calls
    await batcher.close()


class Deaf:
    """A sink that goes on when it is cancelled, until it may end."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.task: asyncio.Task[object] | None = None
        self.tried, self.end = asyncio.Event(), asyncio.Event()

    async def write(self, entries: Sequence[Entry]) -> None:
        self.task = asyncio.current_task()
        self.tried.set()
        while not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                self.cancelled += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end.set()
        if self.task is not None:
            await asyncio.wait({self.task})


async def test_a_sink_that_ignores_its_cancellation_is_left_alone(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Closing ends within its time and a second; what the sink had in hand is blamed once, also if it ends later."""
    ticket, loop = _run(), asyncio.get_running_loop()
    async with Deaf() as target:
        batcher = Batcher(target.write, label="t", delivery=Delivery(max_count=1))
        await _put(batcher, ticket, 1, 2)
        await target.tried.wait()
        began = loop.time()
        await batcher.close(timeout=5.0)
        assert 6.0 == pytest.approx(loop.time() - began)
        assert "sink t goes on though it was cancelled, and is left alone" in caplog.text
        with pytest.raises(SinkWriteError, match="2 items: not written 5 s after the end"):
            await batcher.flush(ticket)
    assert (1, 0, 0) == (target.cancelled, ticket.pending, batcher.waiting_count)
