"""What may be in flight to one worker follows how long its tasks take, as its answers say."""

import asyncio
import pickle
from typing import Any, Self

from hypothesis import given
from hypothesis import strategies as st

from mainspring.base import FrameDecoder
from mainspring.concurrency._worker import MAX_WINDOW, Worker
from mainspring.concurrency._worker_ledger import Ledger
from mainspring.concurrency._worker_messages import Kind, Message, decode_message, encode_message
from mainspring.concurrency._worker_task import WorkerTask, pack_call


class Wire(asyncio.Transport):
    """Notes what is written, one entry for each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def messages(self) -> list[Message]:
        decoder, found = FrameDecoder(), list[Message]()
        for data in self.writes:
            decoder.get_buffer()[: len(data)] = data
            found += [decode_message(bytes(payload)) for payload in decoder.buffer_updated(len(data))]
        return found


class Lonely:
    """The owner of one worker, whose process is this test: it answers with the seconds that it is told."""

    def __init__(self) -> None:
        self.wire = Wire()
        self._ledger = Ledger(1)
        self.worker = Worker(self, self._ledger, 0, None)
        self.worker.connection_made(self.wire)
        self.answered: list[tuple[float, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        while self.worker.in_flight:
            self.answer(*[0.0] * MAX_WINDOW)
        self._ledger.__exit__(*exc_info)

    def on_answers(self, worker: Worker, seconds: float, successes: int, failures: int) -> None:
        self.answered.append((round(seconds, 6), successes, failures))

    def on_dropped(self, worker: Worker, task: WorkerTask[Any]) -> None:
        raise AssertionError("nothing is dropped")

    def on_lost(self, worker: Worker) -> None:
        raise AssertionError("it is not lost")

    def on_cancel(self, task: WorkerTask[Any]) -> None:
        raise AssertionError("nothing is cancelled")

    def fill(self) -> list[WorkerTask[Any]]:
        """Send as many tasks as it takes."""
        sent: list[WorkerTask[Any]] = []
        while self.worker.has_room:
            task: WorkerTask[Any] = WorkerTask(pack_call(abs, (-1,), {}), owner=self, loop=asyncio.get_running_loop())
            self.worker.send(task)
            sent.append(task)
        return sent

    def answer(self, *seconds: float) -> None:
        """Let the oldest tasks be done, each after so many seconds, in one piece."""
        data = b"".join(
            bytes(part)
            for number, each in zip(list(self.worker.in_flight), seconds, strict=False)
            for part in encode_message(number, Kind.RESULT, pickle.dumps(1), seconds=each)
        )
        self.worker.get_buffer(-1)[: len(data)] = data
        self.worker.buffer_updated(len(data))


async def test_a_worker_begins_with_one_task_in_flight() -> None:
    with Lonely() as lonely:
        tasks = lonely.fill()
        assert 1 == len(tasks) == lonely.worker.window
        lonely.answer(0.5)
        assert 1 == await tasks[0]


async def test_short_tasks_open_the_window_and_long_ones_close_it() -> None:
    with Lonely() as lonely:
        seen: list[int] = []
        for _ in range(40):
            lonely.fill()
            seen.append(len(lonely.worker.in_flight))
            lonely.answer(0.00001)
            await asyncio.sleep(0)
        assert sorted(seen) == seen, "it only opens"
        assert MAX_WINDOW == lonely.worker.window
        lonely.answer(1.0)
        assert 1 == lonely.worker.window
        assert not lonely.worker.has_room, "those sent before are still in flight, and no more come"
        while lonely.worker.in_flight:
            lonely.answer(1.0)
        assert 1 == len(lonely.fill())
        lonely.answer(1.0)


async def test_one_task_in_a_while_that_takes_longer_does_not_close_it_for_long() -> None:
    with Lonely() as lonely:
        for _ in range(40):
            lonely.fill()
            lonely.answer(0.00001)
        lonely.answer(0.003)
        assert lonely.worker.window <= 2
        for _ in range(10):
            lonely.answer(0.00001)
            lonely.fill()
        assert lonely.worker.window > 8


async def test_what_is_sent_in_one_turn_goes_in_one_write_behind_the_first() -> None:
    with Lonely() as lonely:
        for _ in range(40):
            lonely.fill()
            lonely.answer(*[0.00001] * MAX_WINDOW)
            await asyncio.sleep(0)
        lonely.wire.writes.clear()
        sent = lonely.fill()
        await asyncio.sleep(0)
        assert MAX_WINDOW == len(sent) == len(lonely.wire.messages())
        assert 2 == len(lonely.wire.writes), "an idle worker is told at once, the rest travels together"
        lonely.answered.clear()
        lonely.answer(*[0.00001] * MAX_WINDOW)
        assert [(0.00016, MAX_WINDOW, 0)] == lonely.answered, "answers that come together are taken together"
        assert [1] * MAX_WINDOW == await asyncio.gather(*sent)


@given(st.lists(st.floats(min_value=0.0, max_value=1e6), max_size=30))
def test_the_window_keeps_its_bounds(seconds: list[float]) -> None:
    async def main() -> None:
        with Lonely() as lonely:
            for each in seconds:
                lonely.fill()
                assert 1 <= len(lonely.worker.in_flight) <= MAX_WINDOW
                lonely.answer(each)
                assert 1 <= lonely.worker.window <= MAX_WINDOW

    asyncio.run(main())
