"""Sinks as a stage of a dataflow uses them: a message is done once its items are written."""

import asyncio
from collections.abc import Iterator

from tests.unit.sinks.support_targets import Target

from mainspring.dataflow import Dataflow, Process, Runner
from mainspring.sinks import Delivery, SinkSet


async def test_what_a_stage_emits_is_written_when_its_messages_are_done() -> None:
    sinks, target = SinkSet(), Target()
    sinks.add(target, types=[dict], delivery=Delivery(max_seconds=3600.0))

    def numbers(p: Process) -> Iterator[dict[str, int]]:
        return ({"n": n} for n in range(p.acknowledged, 50))

    async def keep(_: Process, message: dict[str, int]) -> None:
        await sinks.emit(message)
        await sinks.flush()

    async with asyncio.timeout(60), sinks, Dataflow("rows", [Runner(numbers), Runner(keep)], mode="inline") as flow:
        await flow.wait()
        assert [{"n": n} for n in range(50)] == target.got
