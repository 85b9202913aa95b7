"""Messages go through every stage, in one process or in many; nothing is left behind."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.dataflow.support_flows import Collector, Ticker, count_to_100, double

from mainspring.base import Backoff
from mainspring.dataflow import BuriedMessage, Dataflow, Edge, Process, Runner
from mainspring.dataflow import _dataflow as dataflow
from mainspring.dataflow._feeder import Feeder
from mainspring.dataflow._launch import launch_inline
from mainspring.dataflow._plan import WorkerPlan
from mainspring.errors import (
    ConnectionClosedError,
    FrameTooLargeError,
    InvalidArgumentError,
    MisuseError,
    TaskNotPicklableError,
)
from mainspring.testing import eventually
from mainspring.transport import AsyncPipe

ONCE = Backoff.constant(0.01, max_tries=1)
every_mode = pytest.mark.parametrize("mode", ["inline", "process"])


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


def numbers(lines: list[str]) -> list[int]:
    return sorted(int(line) for line in lines)


@every_mode
async def test_what_a_source_yields_passes_every_stage(mode: Any, collector: Collector) -> None:
    async with Dataflow("f", [Runner(count_to_100), Runner(double, 3), Runner(collector)], mode=mode) as flow:
        assert "running" in repr(flow)
        await flow.wait()
        stats = flow.stats()
    assert [2 * n for n in range(100)] == numbers(collector.lines())
    assert [(100, 100), (100, 100)] == [(one.sent_count, one.acknowledged_count) for one in stats.edges]
    assert [0, 100, 100] == [one.handled_count for one in stats.stages]
    assert "over" in repr(flow)


async def test_messages_of_a_source_that_blocks_are_sent_while_it_goes_on(collector: Collector) -> None:
    async with Dataflow("f", [Runner(Ticker(collector)), Runner(collector)], restart=ONCE) as flow:
        await flow.wait()
    assert "0" in collector.lines()


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
async def test_other_start_methods_do_the_same(start_method: str, collector: Collector) -> None:
    topology = [Runner(count_to_100), Runner(collector)]
    async with Dataflow("f", topology, start_method=start_method) as flow:
        await flow.wait()
    assert list(range(100)) == numbers(collector.lines())


def test_start_blocks_until_all_is_done(collector: Collector) -> None:
    Dataflow("f", [Runner(count_to_100), Runner(double), Runner(collector)]).start()
    assert [2 * n for n in range(100)] == numbers(collector.lines())


async def test_no_message_is_handled_before_startup_is_over() -> None:
    is_on_its_way, seen = asyncio.Event(), list[bool]()

    def source(p: Process) -> Iterator[int]:
        yield 1
        is_on_its_way.set()

    async def startup(p: Process) -> None:
        await is_on_its_way.wait()
        for _ in range(100):  # time enough for the message to get here
            await asyncio.sleep(0)
        p.state["is_set_up"] = True

    def target(p: Process, number: int) -> None:
        seen.append(p.state["is_set_up"] is True)

    async with Dataflow("f", [Runner(source), Runner(target, startup=startup)], mode="inline") as flow:
        await flow.wait()
    assert [True] == seen


@every_mode
async def test_pipes_are_read_each_by_its_worker(mode: Any, collector: Collector) -> None:
    pipes = [AsyncPipe() for _ in range(2)]
    own = [os.dup(pipe.read_fd or 0) for pipe in pipes]
    topology = [Runner(double, read_pipes=own), Runner(collector, 2, edge=Edge(route="manual"))]

    def pass_on(p: Process, message: int) -> None:
        p.outbound[p.index].send(message)

    topology[0] = Runner(pass_on, read_pipes=own)
    async with Dataflow("f", topology, mode=mode) as flow:
        for index, pipe in enumerate(pipes):
            for number in range(10):
                await pipe.write_json(100 * index + number)
            await pipe.close()
        await flow.wait()
    assert list(range(10)) == [int(line) for line in collector.lines_of("1.0")]
    assert list(range(100, 110)) == [int(line) for line in collector.lines_of("1.1")]


@every_mode
@pytest.mark.parametrize(
    ("rest", "error"), [(b"\x05\0\0\0ab", ConnectionClosedError), (b"\xff\xff\xff\xff", FrameTooLargeError)]
)
async def test_a_writer_that_dies_inside_a_message_takes_no_other_message_along(
    mode: Any, rest: bytes, error: type[Exception], collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    reads, writes = zip(*[os.pipe() for _ in range(2)], strict=True)

    def pass_on(p: Process, number: int) -> int:
        return number

    async def run() -> None:
        async with Dataflow("f", [Runner(pass_on, read_pipes=reads), Runner(collector)], mode=mode) as flow:
            os.write(writes[0], b"\x01\0\0\x001" + rest)
            os.close(writes[0])
            await eventually(lambda: "the pipe of worker 0.0 is read no more" in caplog.text, within=20.0)
            os.write(writes[1], b"\x01\0\0\x002")
            os.close(writes[1])
            await flow.wait()

    with pytest.raises(error):
        await run()
    assert [1, 2] == numbers(collector.lines())


async def test_workers_that_come_while_a_pipe_is_connected_get_one_way(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stage arrives in the midst of it; a second way would wait for the end of the first."""
    read, write = os.pipe()
    connecting, second = asyncio.Event(), asyncio.Event()
    attach = Feeder.attach

    async def attach_late(feeder: Feeder, end: socket.socket) -> None:
        connecting.set()
        await second.wait()
        await asyncio.sleep(0)  # the second worker is connected in the step that has set the event
        await attach(feeder, end)

    async def launch_second_late(plan: WorkerPlan, end: socket.socket) -> Any:
        if not plan.level:
            return await launch_inline(plan, end)
        await connecting.wait()
        child = await launch_inline(plan, end)
        asyncio.get_running_loop().call_soon(second.set)
        return child

    monkeypatch.setattr(Feeder, "attach", attach_late)
    monkeypatch.setattr("mainspring.dataflow._supervisor.launch_inline", launch_second_late)
    async with Dataflow("f", [Runner(double, read_pipes=[read]), Runner(collector)], mode="inline") as flow:
        os.write(write, b"\x01\0\0\x001")
        os.close(write)
        async with asyncio.timeout(30):
            await flow.wait()
    assert [2] == numbers(collector.lines())


async def test_a_pipe_that_ends_before_its_worker_comes_keeps_nobody(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    os.close(write)
    ended, finish = asyncio.Event(), Feeder.finish

    async def finish_and_say(feeder: Feeder) -> None:
        await finish(feeder)
        ended.set()

    async def launch_late(plan: WorkerPlan, end: socket.socket) -> Any:
        await ended.wait()
        return await launch_inline(plan, end)

    monkeypatch.setattr(Feeder, "finish", finish_and_say)
    monkeypatch.setattr("mainspring.dataflow._supervisor.launch_inline", launch_late)
    async with Dataflow("f", [Runner(double, read_pipes=[read]), Runner(collector)], mode="inline") as flow:
        async with asyncio.timeout(30):
            await flow.wait()
    assert [] == collector.lines()


async def test_a_callback_that_lets_a_cancellation_out_fails_on_its_message_alone(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    letters: list[BuriedMessage] = []

    async def work(p: Process, number: int) -> int:
        if number == 7:
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task
        return number

    async def bury(letter: BuriedMessage) -> None:
        letters.append(letter)
        raise asyncio.CancelledError

    topology = [Runner(count_to_100), Runner(work), Runner(collector)]
    async with Dataflow("f", topology, mode="inline", dead_letter=bury) as flow:
        await flow.wait()
    assert [n for n in range(100) if n != 7] == numbers(collector.lines())
    assert [(7, MisuseError)] == [(letter.message, type(letter.error)) for letter in letters]
    assert "the dead-letter hook failed" in caplog.text


@every_mode
async def test_stopping_ends_an_endless_source_and_finishes_what_is_on_its_way(mode: Any, collector: Collector) -> None:
    async def endless(p: Process) -> Any:
        for number in range(1_000_000_000):
            yield number
            await asyncio.sleep(0)

    async with Dataflow("f", [Runner(endless), Runner(collector)], mode=mode) as flow:
        await eventually(lambda: len(collector.lines()) > 10, within=20.0)
    got = numbers(collector.lines())
    assert list(range(len(got))) == got
    assert all(one.in_flight_count == 0 for one in flow.stats().edges)


async def test_keys_keep_their_order(collector: Collector) -> None:
    def pairs(p: Process) -> Any:
        for number in range(200):
            yield [number % 7, number]

    edge = Edge(key=lambda pair: pair[0])
    async with Dataflow("f", [Runner(pairs), Runner(collector, 3, edge=edge)], mode="inline") as flow:
        await flow.wait()
    seen: dict[str, str] = {}
    for worker in ("1.0", "1.1", "1.2"):
        lines = [eval(line) for line in collector.lines_of(worker)]
        for key in range(7):
            mine = [number for this, number in lines if this == key]
            if mine:
                assert str(key) not in seen
                seen[str(key)] = worker
                assert list(range(key, 200, 7)) == mine
    assert 7 == len(seen)


async def test_a_message_that_fails_is_logged_and_buried_and_the_next_one_is_taken(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    letters: list[BuriedMessage] = []

    def picky(p: Process, number: int) -> int:
        if number % 10 == 3:
            raise ValueError(f"not {number}")
        return number

    async def bury(letter: BuriedMessage) -> None:
        letters.append(letter)
        raise RuntimeError("the hook fails as well")

    topology = [Runner(count_to_100), Runner(picky), Runner(collector)]
    async with Dataflow("f", topology, mode="inline", dead_letter=bury) as flow:
        await flow.wait()
    assert 90 == len(collector.lines())
    assert [3, 13, 23] == [letter.message for letter in letters][:3]
    assert ("picky", "1.0", "0.0#4") == (letters[0].stage, letters[0].worker, letters[0].message_id)
    assert "worker 1.0 (picky) failed on message 0.0#4" in caplog.text
    assert "the dead-letter hook failed" in caplog.text
    assert 10 == flow.stats().stages[1].failed_count


async def test_one_slow_worker_is_waited_for(collector: Collector) -> None:
    edge = Edge(max_in_flight=2, max_waiting=2)
    peak = 0

    async def watched(p: Process) -> Any:
        nonlocal peak
        for number in range(50):
            yield number
            peak = max(peak, p.outbound[0].load)

    async def slow(p: Process, number: int) -> int:
        await asyncio.sleep(0)
        return number

    topology = [Runner(watched), Runner(slow, edge=edge), Runner(collector, edge=edge)]
    async with Dataflow("f", topology, mode="inline") as flow:
        await flow.wait()
    assert [str(n) for n in range(50)] == collector.lines()
    assert peak <= 4


async def test_it_runs_once(collector: Collector) -> None:
    flow = Dataflow("f", [Runner(count_to_100), Runner(collector)], mode="inline")
    assert "idle" in repr(flow)
    assert {} == flow.pids
    assert {} == flow.addresses
    await flow.stop()
    with pytest.raises(MisuseError, match="was not started"):
        flow.stats()
    async with flow:
        await flow.wait()
        assert {} == flow.pids
    with pytest.raises(MisuseError, match="has run"):
        await flow.__aenter__()


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "thread"},
        {"start_method": "clone"},
        {"delivery": "exactly-once"},
        {"stop_timeout": 0.0},
        {"stop_timeout": float("inf")},
    ],
)
def test_unknown_choices_are_refused(options: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        Dataflow("f", [Runner(count_to_100)], **options)


def test_what_cannot_travel_is_named_at_once() -> None:
    lock = threading.Lock()

    def source(p: Process) -> object:
        return lock

    with pytest.raises(TaskNotPicklableError, match=r"stage 0 \(source\) of 'f'"):
        Dataflow("f", [Runner(source)], start_method="forkserver")


def test_it_describes_itself() -> None:
    flow = dataflow.Dataflow("f", [Runner(count_to_100)])
    assert flow.describe().startswith("f\n  0 count_to_100")
    assert flow.describe("mermaid").startswith("flowchart")
    with pytest.raises(InvalidArgumentError, match="form"):
        flow.describe("svg")
