"""One batcher per sink: bounded, blames only whose items failed, and a barrier cuts the timer."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mainspring.base import Backoff
from mainspring.errors import CircuitBroken, ClosedError, InvalidArgumentError, SinkWriteError
from mainspring.sinks import Delivery
from mainspring.sinks._batcher import Batcher
from mainspring.sinks._tickets import Entry, Ticket
from mainspring.testing import VirtualClock

_AT_ONCE = Backoff.constant(0.0, max_tries=3)


class Target:
    """A sink that can be held up and made to fail."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.failures = 0
        self.tried = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, entries: Sequence[Entry]) -> None:
        self.tried.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("broken")
        self.batches.append([entry.item for entry in entries])


async def _put(batcher: Batcher, ticket: Ticket, *payloads: object) -> None:
    for payload in payloads:
        await batcher.put(ticket, payload)


def _run() -> Ticket:
    return Ticket("t", run_id="r", job_id="j")


def _batcher(target: Target, **terms: Any) -> Batcher:
    return Batcher(target.write, label="t", delivery=Delivery(**terms))


async def test_the_barrier_cuts_the_timer() -> None:
    target, ticket = Target(), _run()
    batcher = _batcher(target, max_count=100, max_seconds=3600)
    await _put(batcher, ticket, 1, 2)
    await batcher.flush(ticket)
    assert target.batches == [[1, 2]]
    await batcher.close()


async def test_a_run_waits_for_its_own_items_only() -> None:
    target, mine, others = Target(), _run(), _run()
    gate = asyncio.Event()

    async def write(entries: Sequence[Entry]) -> None:
        if entries[0].ticket is others:
            await gate.wait()
        await target.write(entries)

    batcher = Batcher(write, label="t", delivery=Delivery(max_count=1))
    await _put(batcher, mine, 1)
    await _put(batcher, others, 2)
    async with asyncio.timeout(30):
        await batcher.flush(mine)
    assert (0, 1) == (mine.pending, others.pending)
    gate.set()
    await batcher.flush(others)
    assert [[1], [2]] == target.batches
    await batcher.close()


async def test_a_full_batch_and_an_old_batch_are_written_by_themselves() -> None:
    target, ticket = Target(), _run()
    batcher = _batcher(target, max_count=2, max_seconds=0.001)
    await _put(batcher, ticket, 1, 2, 3)
    async with asyncio.timeout(30):
        while ticket.pending:
            ticket.changed.clear()
            await ticket.changed.wait()
    assert target.batches == [[1, 2], [3]]
    await batcher.close()


async def test_a_failed_batch_is_tried_again() -> None:
    target, ticket = Target(), _run()
    target.failures = 2
    batcher = _batcher(target, retry=_AT_ONCE)
    await _put(batcher, ticket, 1)
    await batcher.flush(ticket)
    assert target.batches == [[1]]
    await batcher.close()


async def test_a_sink_says_how_long_to_leave_it_alone(caplog: pytest.LogCaptureFixture) -> None:
    ticket, times = _run(), list[float]()

    async def write(entries: Sequence[Entry]) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            raise CircuitBroken(retry_after=0.2)

    batcher = Batcher(write, label="t", delivery=Delivery(retry=_AT_ONCE))
    await _put(batcher, ticket, 1)
    await batcher.flush(ticket)
    assert times[1] - times[0] >= 0.19
    assert "sink t failed, next attempt in 0.2 s: CircuitBroken" in caplog.text
    await batcher.close()


async def test_a_sink_that_wants_to_be_left_alone_for_long_fails_its_batch() -> None:
    """Other runs wait behind it, and with `on_failure="spool"` the batch is safe on disk."""
    ticket, calls = _run(), list[int]()

    async def write(entries: Sequence[Entry]) -> None:
        calls.append(len(entries))
        raise CircuitBroken(retry_after=86_400)

    batcher = Batcher(write, label="t", delivery=Delivery(retry=_AT_ONCE))
    await _put(batcher, ticket, 1)
    with pytest.raises(SinkWriteError, match="CircuitBroken"):
        await batcher.flush(ticket)
    assert calls == [1]
    await batcher.close()


async def test_only_the_runs_of_a_failed_batch_are_blamed() -> None:
    target, broken, fine = Target(), _run(), _run()
    target.failures = 3
    batcher = _batcher(target, max_count=1, retry=_AT_ONCE)
    await _put(batcher, broken, 1)
    await _put(batcher, fine, 2)
    with pytest.raises(SinkWriteError, match="could not write 1 item: OSError: broken"):
        await batcher.flush(broken)
    await batcher.flush(fine)
    assert target.batches == [[2]]
    await batcher.close()


async def test_a_full_queue_holds_its_emitters_back() -> None:
    target, ticket = Target(), _run()
    target.gate.clear()
    batcher = _batcher(target, max_count=1, max_queue=2)
    await _put(batcher, ticket, 1, 2)
    third = asyncio.create_task(_put(batcher, ticket, 3))
    await asyncio.sleep(0)
    assert not third.done()
    target.gate.set()
    await third
    await batcher.flush(ticket)
    assert target.batches == [[1], [2], [3]]
    await batcher.close()


async def test_closing_writes_what_is_queued() -> None:
    target, ticket = Target(), _run()
    batcher = _batcher(target, max_seconds=3600)
    await _put(batcher, ticket, 1)
    await batcher.close()
    await batcher.close()
    assert target.batches == [[1]]


async def test_closing_waits_for_a_sink_that_takes_its_time() -> None:
    target, ticket = Target(), _run()
    target.gate.clear()
    batcher = _batcher(target, max_seconds=3600)
    await _put(batcher, ticket, 1)
    closing = asyncio.create_task(batcher.close(timeout=60.0))
    await target.tried.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not closing.done()
    target.gate.set()
    await closing
    assert target.batches == [[1]]


async def test_bytes_bound_a_batch_and_the_queue() -> None:
    target, ticket = Target(), _run()
    target.gate.clear()
    batcher = _batcher(target, max_bytes=100, max_queue_bytes=150)
    await _put(batcher, ticket, b"x" * 60, b"y" * 60, b"z" * 60)
    fourth = asyncio.create_task(_put(batcher, ticket, "small"))
    await asyncio.sleep(0)
    assert not fourth.done()
    target.gate.set()
    await fourth
    await batcher.flush(ticket)
    assert [len(batch) for batch in target.batches] == [1, 1, 2]
    await batcher.close()


async def test_withdrawn_items_are_never_written() -> None:
    target, failed, fine = Target(), _run(), _run()
    batcher = _batcher(target, max_seconds=3600)
    await _put(batcher, failed, 1)
    await _put(batcher, fine, 2)
    await _put(batcher, failed, 3)
    batcher.withdraw(failed)
    await batcher.flush(fine)
    await batcher.close()
    assert target.batches == [[2]]


async def test_a_withdrawn_item_in_a_failing_batch_is_not_tried_again() -> None:
    target, failed, fine = Target(), _run(), _run()
    target.failures, target.gate = 1, asyncio.Event()
    batcher = _batcher(target, retry=_AT_ONCE, max_count=2)
    await _put(batcher, failed, 1)
    await _put(batcher, fine, 2)
    await target.tried.wait()
    batcher.withdraw(failed)
    target.gate.set()
    await batcher.flush(fine)
    await batcher.close()
    assert target.batches == [[2]]


async def test_a_batch_that_was_withdrawn_as_a_whole_ends_the_attempts() -> None:
    target, failed = Target(), _run()
    target.failures, target.gate = 9, asyncio.Event()
    batcher = _batcher(target, retry=_AT_ONCE, max_count=1)
    await _put(batcher, failed, 1)
    await target.tried.wait()
    batcher.withdraw(failed)
    target.gate.set()
    await batcher.close()
    assert (8, []) == (target.failures, target.batches)


async def test_an_item_withdrawn_between_two_attempts_is_not_tried_again() -> None:
    target, failed, fine = Target(), _run(), _run()
    target.failures = 1
    batcher = _batcher(target, retry=Backoff.constant(0.01, max_tries=3), max_count=2)
    await _put(batcher, failed, 1)
    await _put(batcher, fine, 2)
    await target.tried.wait()
    await asyncio.sleep(0)
    batcher.withdraw(failed)
    await batcher.flush(fine)
    await batcher.close()
    assert target.batches == [[2]]


async def test_withdrawing_makes_room_for_others_behind_a_stuck_sink() -> None:
    target, failed, fine = Target(), _run(), _run()
    target.gate.clear()
    batcher = _batcher(target, max_count=1, max_queue=3)
    await _put(batcher, failed, 1)
    await asyncio.sleep(0)
    await _put(batcher, failed, 2, 3)
    late = asyncio.create_task(_put(batcher, failed, 4))
    other = asyncio.create_task(_put(batcher, fine, 5))
    await asyncio.sleep(0)
    batcher.withdraw(failed)
    await other
    with pytest.raises(ClosedError):
        await late
    target.gate.set()
    await batcher.flush(fine)
    await batcher.close()
    assert target.batches == [[1], [5]]


async def test_a_sink_that_hangs_at_the_end_is_blamed_on_the_runs() -> None:
    target, ticket = Target(), _run()
    target.gate.clear()
    batcher = _batcher(target, max_count=1)
    await _put(batcher, ticket, 1, 2)
    await asyncio.sleep(0)
    await batcher.close(timeout=0.0)
    with pytest.raises(SinkWriteError, match="2 items: not written 0 s after the end"):
        await batcher.flush(ticket)
    with pytest.raises(ClosedError):
        await batcher.put(ticket, 3)


async def test_items_of_no_run_are_tried_until_they_are_written(virtual_clock: VirtualClock) -> None:
    target, nobody = Target(), Ticket("t")
    target.failures = 7
    batcher = _batcher(target, retry=_AT_ONCE)
    await _put(batcher, nobody, 1)
    await batcher.flush(nobody)
    await batcher.close()
    assert target.batches == [[1]]


async def test_items_of_no_run_that_cannot_be_kept_are_lost_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    target, nobody = Target(), Ticket("t")
    target.gate.clear()
    batcher = _batcher(target, max_count=1)
    await _put(batcher, nobody, 1)
    await asyncio.sleep(0)
    await batcher.close(timeout=0.0)
    with pytest.raises(SinkWriteError):
        await batcher.flush(nobody)
    assert "sink t: 1 items are lost" in caplog.text


async def test_a_dict_may_be_changed_once_it_is_queued() -> None:
    target, ticket, row = Target(), _run(), dict[str, int]()
    batcher = _batcher(target, max_seconds=3600)
    for n in range(3):
        row["n"] = n
        await batcher.put(ticket, row)
    await batcher.flush(ticket)
    assert [[{"n": 0}, {"n": 1}, {"n": 2}]] == target.batches
    await batcher.close()


@pytest.mark.parametrize("terms", [{"max_count": 0}, {"max_queue_bytes": 0}, {"max_seconds": -1}, {"on_failure": "x"}])
def test_terms_are_checked_at_once(terms: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Delivery(**terms)
