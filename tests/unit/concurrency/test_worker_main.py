"""The worker's loop, run in this process: what it receives, it answers, once."""

import os
import signal
import socket
import threading
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.unit.concurrency import support_tasks as tasks

from mainspring.base import FrameDecoder
from mainspring.concurrency import _worker_main as worker_main
from mainspring.concurrency._child_main import MainModule, Packed
from mainspring.concurrency._worker_ledger import Ledger
from mainspring.concurrency._worker_main import INTERRUPT, WorkerLoop, be_worker
from mainspring.concurrency._worker_messages import ORDER, Kind, Message, Order, decode_message, encode_message
from mainspring.concurrency._worker_task import pack_call, unpickle_error
from mainspring.errors import MainImportError, RemoteTaskError, ResultNotPicklableError

NO_KEYWORDS: dict[str, object] = {}
NO_INITIALIZER = Packed((None, (), NO_KEYWORDS))


class Desk:
    """The pool's side of one worker loop."""

    def __init__(self) -> None:
        self.data, self.worker_data = socket.socketpair()
        self.control, self.worker_control = socket.socketpair()
        self.ledger = Ledger(1)
        self.loop = WorkerLoop(
            self.worker_data, self.worker_control, self.ledger, 0, MainModule("name", "no_such_main")
        )

    def call(self, number: int, function: Callable[..., object], *args: object, kind: Kind = Kind.CALL) -> None:
        self._send(encode_message(number, kind, *pack_call(function, args, {})[1:3]))

    def exit(self) -> None:
        self._send(encode_message(0, Kind.EXIT))

    def _send(self, parts: list[Any]) -> None:
        for part in parts:
            self.data.sendall(part)

    def hang_up(self) -> None:
        """End the thread that a whole worker has started."""
        self.control.shutdown(socket.SHUT_RDWR)
        for thread in threading.enumerate():
            if thread.name == "worker-control":
                thread.join(20)

    def answers(self) -> list[Message]:
        self.worker_data.close()
        decoder, messages = FrameDecoder(), list[Message]()
        while received := self.data.recv(1 << 20):
            messages += map(decode_message, decoder.feed(received))
        return messages

    def close(self) -> None:
        for end in (self.data, self.worker_data, self.control, self.worker_control):
            end.close()
        self.ledger.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    handlers = {number: signal.getsignal(number) for number in (INTERRUPT, signal.SIGINT)}
    signal.signal(INTERRUPT, desk.loop.on_interrupt)
    yield desk
    for number, handler in handlers.items():
        signal.signal(number, handler)
    desk.close()


def test_calls_are_answered_in_order_and_noted(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.call(number, tasks.double, number)
    desk.exit()
    desk.loop.serve()
    answers = desk.answers()
    assert [1, 2, 3] == [answer.number for answer in answers]
    assert [2, 4, 6] == [answer.unpickle() for answer in answers]
    assert desk.ledger.last(0) == 3


def test_the_end_of_the_channel_ends_the_loop(desk: Desk) -> None:
    desk.data.shutdown(socket.SHUT_WR)
    desk.loop.serve()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (tasks.fail_set_up, LookupError),
        (tasks.fail_oddly, RemoteTaskError),
        (tasks.exit_politely, RemoteTaskError),
        (tasks.return_lock, ResultNotPicklableError),
    ],
)
def test_failures_are_answered(desk: Desk, function: Callable[[], object], expected: type[Exception]) -> None:
    desk.call(1, function)
    desk.exit()
    desk.loop.serve()
    (answer,) = desk.answers()
    assert answer.kind == Kind.ERROR
    error = unpickle_error(answer)
    assert isinstance(error, expected)
    assert "in worker process" in error.__notes__[-1]


def test_a_main_module_that_cannot_be_imported_fails_its_task(desk: Desk) -> None:
    desk.call(1, tasks.double, 1, kind=Kind.CALL_WITH_MAIN)
    desk.exit()
    desk.loop.serve()
    (answer,) = desk.answers()
    error = unpickle_error(answer)
    assert isinstance(error, MainImportError)
    assert "no_such_main" in str(error)


def test_a_recalled_task_is_dropped_and_told(desk: Desk) -> None:
    desk.call(1, tasks.double, 1)
    desk.call(2, tasks.double, 2)
    desk.exit()
    desk.loop.obey(Order.RECALL, 1)
    desk.loop.serve()
    assert [2] == [answer.number for answer in desk.answers()]
    assert (Order.DROPPED, 1) == ORDER.unpack(desk.control.recv(100))
    assert desk.loop._claims == {}


def test_an_order_that_comes_too_late_leaves_no_trace(desk: Desk) -> None:
    desk.call(1, tasks.double, 1)
    desk.exit()
    desk.loop.serve()
    desk.loop.obey(Order.CANCEL, 1)
    assert desk.loop._claims == {}
    desk.worker_control.close()
    assert desk.control.recv(100) == b""


def test_an_interruption_reaches_the_task_that_was_meant(desk: Desk) -> None:
    inner, outer = socket.socketpair()
    began = threading.Event()

    def interrupt() -> None:
        assert began.wait(20)
        desk.control.sendall(ORDER.pack(Order.CANCEL, 1))
        desk.loop.listen()

    canceller = threading.Thread(target=interrupt)
    canceller.start()

    def wait() -> None:
        began.set()
        inner.recv(1)

    tasks.state["wait"] = wait
    desk.call(1, tasks.call_state, "wait")
    desk.call(2, tasks.double, 2)
    desk.exit()
    with inner, outer:
        desk.loop.serve()
    desk.control.shutdown(socket.SHUT_WR)
    canceller.join()
    first, second = desk.answers()
    assert isinstance(unpickle_error(first), CancelledError)
    assert second.unpickle() == 4


def test_an_interruption_before_the_first_line_is_not_lost(desk: Desk) -> None:
    # The order has been noted, its signal came while the arguments were loaded.
    desk.loop._to_interrupt = 1
    desk.call(1, tasks.double, 1)
    desk.exit()
    desk.loop.serve()
    (answer,) = desk.answers()
    assert isinstance(unpickle_error(answer), CancelledError)
    desk.loop.on_interrupt()  # nothing runs: nothing is raised


def test_the_control_channel_is_followed_to_its_end(desk: Desk) -> None:
    for order, number in [(Order.RECALL, 5), (Order.CANCEL, 6)]:
        desk.control.sendall(ORDER.pack(order, number))
    desk.control.shutdown(socket.SHUT_WR)
    desk.loop.listen()
    assert [(Order.DROPPED, 5), (Order.DROPPED, 6)] == list(ORDER.iter_unpack(desk.control.recv(100)))


@pytest.mark.parametrize("initializer", [NO_INITIALIZER, Packed((tasks.set_up, ("who", 1), NO_KEYWORDS))])
def test_a_worker_is_ready_after_its_initializer(desk: Desk, initializer: Packed) -> None:
    desk.exit()
    be_worker(desk.worker_data, desk.worker_control, desk.ledger, 0, None, initializer)
    assert [Kind.READY] == [answer.kind for answer in desk.answers()]
    os.kill(os.getpid(), signal.SIGINT)  # left to the parent
    desk.hang_up()


def test_a_worker_whose_initializer_fails_says_so_and_ends(desk: Desk) -> None:
    be_worker(desk.worker_data, desk.worker_control, desk.ledger, 0, None, Packed((tasks.fail_set_up, (), NO_KEYWORDS)))
    (answer,) = desk.answers()
    assert answer.kind == Kind.SETUP_FAILED
    assert isinstance(unpickle_error(answer), LookupError)
    desk.hang_up()


def test_tasks_have_names() -> None:
    assert worker_main.task_name(tasks.double) == "double()"
    assert worker_main.task_name(Desk.__new__(Desk)) == "Desk()"
