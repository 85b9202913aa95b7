"""One batcher per sink: bounded, blames only whose items failed, and a barrier cuts the timer."""

import asyncio
from collections.abc import Sequence

import pytest

from mainspring.base import Backoff
from mainspring.errors import SinkWriteError
from mainspring.sinks._batcher import Batcher, Ticket
from mainspring.sinks._sink import WriteIntent

_AT_ONCE = Backoff.constant(0.0, max_tries=3)


class Target:
    """A sink that can be held up and made to fail."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, intents: Sequence[WriteIntent]) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("broken")
        self.batches.append([intent.payload for intent in intents])


async def _put(batcher: Batcher, ticket: Ticket, *payloads: object) -> None:
    for payload in payloads:
        await batcher.put(ticket, WriteIntent(payload=payload))


async def test_the_barrier_cuts_the_timer() -> None:
    target, ticket = Target(), Ticket()
    batcher = Batcher(target.write, label="t", max_count=100, max_seconds=3600)
    await _put(batcher, ticket, 1, 2)
    await batcher.flush(ticket)
    assert target.batches == [[1, 2]]
    await batcher.close()


async def test_a_full_batch_and_an_old_batch_are_written_by_themselves() -> None:
    target, ticket = Target(), Ticket()
    batcher = Batcher(target.write, label="t", max_count=2, max_seconds=0.001)
    await _put(batcher, ticket, 1, 2, 3)
    async with asyncio.timeout(5):
        while ticket.pending:
            ticket.changed.clear()
            await ticket.changed.wait()
    assert target.batches == [[1, 2], [3]]
    await batcher.close()


async def test_a_failed_batch_is_tried_again() -> None:
    target, ticket = Target(), Ticket()
    target.failures = 2
    batcher = Batcher(target.write, label="t", retry=_AT_ONCE)
    await _put(batcher, ticket, 1)
    await batcher.flush(ticket)
    assert target.batches == [[1]]
    await batcher.close()


async def test_only_the_runs_of_a_failed_batch_are_blamed() -> None:
    target, broken, fine = Target(), Ticket(), Ticket()
    target.failures = 3
    batcher = Batcher(target.write, label="t", max_count=1, retry=_AT_ONCE)
    await _put(batcher, broken, 1)
    await _put(batcher, fine, 2)
    with pytest.raises(SinkWriteError, match="could not write 1 item: OSError: broken"):
        await batcher.flush(broken)
    await batcher.flush(fine)
    assert target.batches == [[2]]
    await batcher.close()


async def test_a_full_queue_holds_its_emitters_back() -> None:
    target, ticket = Target(), Ticket()
    target.gate.clear()
    batcher = Batcher(target.write, label="t", max_count=1, max_queue=2)
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
    target, ticket = Target(), Ticket()
    batcher = Batcher(target.write, label="t", max_seconds=3600)
    await batcher.close()
    await _put(batcher, ticket, 1)
    await batcher.close()
    assert target.batches == [[1]]
