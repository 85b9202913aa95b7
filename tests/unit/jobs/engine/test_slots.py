"""Slots are lent while handlers wait, given back in order, and never counted twice."""

import asyncio

import pytest

from mainspring.jobs.engine._slots import Slots


def slots_of(most: int, *holders: str) -> tuple[Slots, list[int]]:
    told: list[int] = []
    slots = Slots(most, on_free=lambda: told.append(1))
    slots.holders.update(holders)
    return slots, told


async def test_a_slot_is_free_while_its_holder_waits() -> None:
    slots, told = slots_of(1, "parent")
    done = asyncio.Event()
    waiting = asyncio.create_task(slots.lend("parent", done.wait()))
    await asyncio.sleep(0)
    assert (slots.free, told) == (1, [1])
    done.set()
    assert await waiting
    assert slots.free == 0


async def test_waits_in_several_tasks_lend_one_slot_until_the_last_ends() -> None:
    slots, _ = slots_of(2, "parent")
    events = [asyncio.Event() for _ in range(3)]
    waits = [asyncio.create_task(slots.lend("parent", event.wait())) for event in events]
    await asyncio.sleep(0)
    assert slots.free == 2
    for event in events[:2]:
        event.set()
    await asyncio.gather(*waits[:2])
    assert slots.free == 2
    events[2].set()
    await waits[2]
    assert slots.free == 1


async def test_who_wants_a_slot_back_comes_before_new_runs_and_in_order() -> None:
    slots, _ = slots_of(2, "one", "two")
    events = [asyncio.Event(), asyncio.Event()]
    order: list[str] = []

    async def wait(holder: str, event: asyncio.Event) -> None:
        await slots.lend(holder, event.wait())
        order.append(holder)

    waits = [asyncio.create_task(wait(*pair)) for pair in zip(("one", "two"), events, strict=True)]
    await asyncio.sleep(0)
    slots.holders |= {"child", "other"}
    for event in reversed(events):
        event.set()
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (slots.free, order) == (-2, [])
    for ended in ("child", "other"):
        slots.leave(ended)
        slots.settle()
    await asyncio.gather(*waits)
    assert (slots.free, order) == (0, ["two", "one"])


async def test_a_slot_that_is_lent_goes_to_who_waits_for_one() -> None:
    slots, _ = slots_of(1, "one")
    event, never = asyncio.Event(), asyncio.Event()
    back = asyncio.create_task(slots.lend("one", event.wait()))
    await asyncio.sleep(0)
    slots.holders.add("two")
    event.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not back.done()
    other = asyncio.create_task(slots.lend("two", never.wait()))
    await back
    assert slots.free == 0
    other.cancel()


@pytest.mark.parametrize("waited", [False, True])
async def test_who_is_cancelled_goes_on_without_a_slot(waited: bool) -> None:
    slots, _ = slots_of(1, "parent")
    event = asyncio.Event()
    waiting = asyncio.create_task(slots.lend("parent", event.wait()))
    await asyncio.sleep(0)
    slots.holders.add("child")
    if waited:
        event.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slots.free == -1
    slots.leave("child")
    slots.settle()
    assert slots.free == 0


async def test_a_turn_that_came_with_a_cancellation_is_kept() -> None:
    slots, _ = slots_of(1, "parent")
    event = asyncio.Event()
    waiting = asyncio.create_task(slots.lend("parent", event.wait()))
    await asyncio.sleep(0)
    slots.holders.add("child")
    event.set()
    for _ in range(3):
        await asyncio.sleep(0)
    slots.leave("child")
    slots.settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slots.free == 0


async def test_a_task_that_outlives_its_handler_lends_nothing() -> None:
    slots, _ = slots_of(1, "parent")
    event = asyncio.Event()
    left = asyncio.create_task(slots.lend("parent", event.wait()))
    await asyncio.sleep(0)
    slots.leave("parent")
    assert slots.free == 1
    event.set()
    await left
    await slots.lend("parent", event.wait())
    assert slots.free == 1
