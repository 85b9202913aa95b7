"""Edges over a real NATS server: workers and the server are killed, and nothing is lost."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mainspring.base import Backoff, new_id
from mainspring.dataflow import BuriedMessage, Dataflow, Edge, EdgeUnavailableError, JetStream, Process, Runner, nats
from mainspring.dataflow.nats import NatsSession
from mainspring.testing import NatsServer, eventually

pytestmark = pytest.mark.extras

SOON = Backoff(0.01, maximum=0.1, max_tries=50)
WINDOW = 256


@dataclass
class Numbers:
    """Callbacks of a topology 1-2-1 that writes the numbers below `count` to a file, with its stream between."""

    path: Path
    count: int

    def source(self, p: Process) -> Iterator[int]:
        yield from range(p.acknowledged, self.count)

    def work(self, p: Process, number: int) -> int:
        return number

    def sink(self, p: Process, number: int) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(b"%9d\n" % number)

    def flow(self, url: str, **options: Any) -> Dataflow:
        stream = JetStream(stream=new_id(), url=url)
        edge = Edge(via=stream, key=parity, max_in_flight=WINDOW)
        narrow = Edge(max_in_flight=WINDOW, max_waiting=WINDOW)
        stages = [Runner(self.source), Runner(self.work, 2, edge=edge), Runner(self.sink, edge=narrow)]
        return Dataflow("line", stages, restart=SOON, **options)

    @property
    def written(self) -> int:
        return self.path.stat().st_size // 10 if self.path.exists() else 0

    def numbers(self) -> list[int]:
        return [int(line) for line in self.path.read_text().splitlines()]


def parity(number: int) -> int:
    return number % 2


def in_order(numbers: list[int]) -> bool:
    """Tell whether the even ones came in order, and the odd ones, each at its first time."""
    first = list(dict.fromkeys(numbers))
    return all(part == sorted(part) for part in ([n for n in first if n % 2 == odd] for odd in (0, 1)))


@dataclass
class Gate:
    """Callbacks of a topology in this process; its second stage waits until it may."""

    limit: int = 1_000_000
    yielded: int = 0
    got: list[int] = field(default_factory=list[int])
    may: asyncio.Event = field(default_factory=asyncio.Event)

    def source(self, p: Process) -> Iterator[int]:
        for number in range(p.acknowledged, self.limit):
            self.yielded += 1
            yield number

    async def take(self, p: Process, number: int) -> None:
        await self.may.wait()
        self.got.append(number)

    def flow(self, stream: JetStream, how_many: int = 1, **options: Any) -> Dataflow:
        edge = Edge(via=stream, max_in_flight=8, max_waiting=8)
        return Dataflow("gate", [Runner(self.source), Runner(self.take, how_many, edge=edge)], mode="inline", **options)


def stream_on(server: NatsServer, **options: Any) -> JetStream:
    return JetStream(stream=new_id(), url=server.url, **options)


@asynccontextmanager
async def session_on(stream: JetStream) -> AsyncGenerator[NatsSession]:
    session = NatsSession(stream)
    await session.open()
    try:
        yield session
    finally:
        await session.close()


async def count_in(stream: JetStream) -> int:
    async with session_on(stream) as session:
        return sum((await session.count_stored(stream.all_subjects)).values())


@pytest.mark.parametrize("mode", ["process", "inline"])
async def test_everything_passes_in_order_and_nothing_is_left(
    nats_server: NatsServer, tmp_path: Path, mode: str
) -> None:
    numbers = Numbers(tmp_path / "numbers", 2000)
    flow = numbers.flow(nats_server.url, mode=mode)
    async with flow:
        await flow.wait()
        sent = flow.stats().edges[0]
    assert sorted(numbers.numbers()) == list(range(2000))
    assert in_order(numbers.numbers())
    assert (2000, 2000, 0) == (sent.sent_count, sent.acknowledged_count, sent.in_flight_count)
    via = flow.topology.stages[1].edge.via
    assert via is not None
    assert 0 == await count_in(via)


async def test_a_killed_worker_leaves_its_messages_to_the_next_one(
    nats_server: NatsServer, tmp_path: Path, mainspring_count: Callable[[int, int], int]
) -> None:
    count = mainspring_count(4_000, 50_000)
    numbers = Numbers(tmp_path / "numbers", count)
    flow = numbers.flow(nats_server.url)
    places = ["0.0", "1.0", "1.1", "2.0"]
    async with flow:
        for turn, place in enumerate(places, 1):
            share = count * turn // 8
            await eventually(lambda share=share: numbers.written >= share, within=40.0)  # type: ignore[misc]
            victim = flow.pids.get(place)
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
                await eventually(lambda p=place, v=victim: flow.pids.get(p) != v, within=20.0)  # type: ignore[misc]
        await flow.wait()
    got = Counter(numbers.numbers())
    assert set(range(count)) == set(got)
    # Each death repeats at most what was in flight to the worker and what came of it.
    assert sum(got.values()) - count <= len(places) * 8 * WINDOW


async def test_a_server_that_was_killed_is_waited_for(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server:
        numbers = Numbers(tmp_path / "numbers", 6000)
        flow = numbers.flow(server.url)
        async with flow:
            await eventually(lambda: numbers.written > 500, within=30.0)
            server.kill()
            server.start()
            await flow.wait()
    assert set(range(6000)) == set(numbers.numbers())
    assert in_order(numbers.numbers())


async def test_a_stream_in_memory_begins_again_with_its_server(tmp_path: Path) -> None:
    """What is sent after the restart has numbers that were given before."""
    got: list[int] = []
    more = asyncio.Event()

    async def source(p: Process) -> AsyncGenerator[int]:
        for number in range(100):
            yield number
        await more.wait()
        for number in range(100, 150):
            yield number

    def take(p: Process, number: int) -> None:
        got.append(number)

    with NatsServer(tmp_path / "nats") as server:
        stream = stream_on(server, storage="memory")
        stages = [Runner(source), Runner(take, edge=Edge(via=stream))]
        async with Dataflow("f", stages, mode="inline") as flow:
            await eventually(lambda: got == list(range(100)), within=30.0)
            await eventually(lambda: flow.stats().edges[0].in_flight_count == 0, within=30.0)
            server.kill()
            server.start()
            more.set()
            await eventually(lambda: got == list(range(150)), within=30.0)
            await flow.wait()


async def test_a_server_that_hangs_is_left_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nats, "_PING_INTERVAL", 0.3)
    monkeypatch.setattr(nats, "_CONNECT_TIMEOUT", 1.0)
    with NatsServer(tmp_path / "nats") as server:
        numbers = Numbers(tmp_path / "numbers", 6000)
        async with numbers.flow(server.url, mode="inline") as flow:
            await eventually(lambda: numbers.written > 100, within=30.0)
            server.pause()
            await eventually(lambda: "cannot be used: TimeoutError;" in caplog.text, within=30.0)
            server.resume()
            await flow.wait()
    assert set(range(6000)) == set(numbers.numbers())
    assert in_order(numbers.numbers())


async def test_the_stream_holds_no_more_than_it_may_and_the_source_waits(nats_server: NatsServer) -> None:
    gate = Gate(limit=200)
    stream = stream_on(nats_server, max_stored=20)
    async with session_on(stream) as session, gate.flow(stream) as flow:

        async def count() -> int:
            return sum((await session.count_stored(stream.all_subjects)).values())

        await eventually(lambda: gate.yielded >= 20 + 8 + 8, within=20.0)
        for _ in range(20):  # looks again and again: it never holds more
            assert 20 >= await count()
        assert gate.yielded <= 20 + 8 + 8 + 1
        gate.may.set()
        await flow.wait()
        assert 0 == await count()
    assert list(range(200)) == gate.got


async def test_a_server_that_is_away_is_an_error_before_anything_runs(unused_port: int, tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "numbers", 10)
    flow = numbers.flow(f"nats://127.0.0.1:{unused_port}")
    with pytest.raises(EdgeUnavailableError, match=f"at nats://127.0.0.1:{unused_port} cannot be used: Connect"):
        await flow.run()
    assert {} == flow.pids


async def test_parts_may_run_one_after_the_other(nats_server: NatsServer) -> None:
    """The sender ends before the receiver begins: the stream keeps what is between."""
    gate = Gate(limit=100)
    stream = stream_on(nats_server)
    whole = gate.flow(stream, 2)
    async with whole.part("source") as first:
        await first.wait()
    assert (100, []) == (await count_in(stream), gate.got)
    gate.may.set()
    async with session_on(stream) as session:
        there = (await session.count_stored(stream.subject(0, 1)))[stream.subject(0, 1)]
    async with whole.part("1.1"):
        await eventually(lambda: len(gate.got) == there, within=20.0)
    async with whole.part("1.0", "1.1"):
        await eventually(lambda: len(gate.got) == 100, within=20.0)
    assert list(range(100)) == sorted(gate.got)
    assert 0 == await count_in(stream)


async def test_a_receiver_that_stops_leaves_the_rest_to_the_next(nats_server: NatsServer) -> None:
    gate = Gate(limit=100)
    stream = stream_on(nats_server)
    whole = gate.flow(stream)
    async with whole.part("source") as first:
        await first.wait()
    async with whole.part("take"):
        await asyncio.sleep(0)
        gate.may.set()
    gate.may.set()
    async with whole.part("take"):
        await eventually(lambda: len(set(gate.got)) == 100, within=20.0)
    assert list(range(100)) == list(dict.fromkeys(gate.got))


async def test_a_message_that_fails_is_buried_and_does_not_come_again(nats_server: NatsServer) -> None:
    buried: list[BuriedMessage] = []
    stream = stream_on(nats_server)

    def source(p: Process) -> Iterator[int]:
        yield from range(p.acknowledged, 3)

    def fail(p: Process, number: int) -> None:
        if number == 1:
            raise ValueError("not this one")

    stages = [Runner(source), Runner(fail, edge=Edge(via=stream))]
    async with Dataflow("f", stages, mode="inline", dead_letter=buried.append) as flow:
        await flow.wait()
    (one,) = buried
    assert ("fail", "1.0", "stream#2", 1) == (one.stage, one.worker, one.message_id, one.message)
    assert "not this one" == str(one.error)
    assert 0 == await count_in(stream)


async def test_at_most_once_gives_no_number_twice(nats_server: NatsServer, tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "numbers", 3000)
    flow = numbers.flow(nats_server.url, delivery="at-most-once")
    async with flow:
        await eventually(lambda: numbers.written > 300, within=30.0)
        os.kill(flow.pids["1.0"], signal.SIGKILL)
        await flow.wait()
    got = numbers.numbers()
    assert len(got) == len(set(got))
    assert 3000 - len(got) <= 2 * WINDOW


async def test_a_message_longer_than_the_server_takes_is_buried_where_it_is_made(nats_server: NatsServer) -> None:
    buried: list[BuriedMessage] = []

    def source(p: Process) -> Iterator[int]:
        yield 1

    def widen(p: Process, number: int) -> str:
        return "x" * (1 << 20)

    def take(p: Process, text: str) -> None: ...

    stages = [Runner(source), Runner(widen), Runner(take, edge=Edge(via=stream_on(nats_server)))]
    async with Dataflow("f", stages, mode="inline", dead_letter=buried.append) as flow:
        await flow.wait()
    assert ["widen"] == [one.stage for one in buried]
    assert "1048578" in str(buried[0].error)
