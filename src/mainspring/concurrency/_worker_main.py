"""What runs in a worker process; the fork server imports it once, so that workers start in milliseconds.

The main thread receives, runs and answers, one task at a time. A second thread listens to the control channel.
Whether a task begins or is given back is decided by one `dict.setdefault`, which is atomic: who comes first
has the task. An interruption is a signal to the main thread, whose handler raises only while the very task
that was meant is running, so that it cannot reach the next.
"""

import os
import pickle
import select
import signal
import socket
import threading
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from typing import Any, Final  # Any: functions and results of any type

from mainspring.base import FrameDecoder, Speaker, current_clock
from mainspring.concurrency._child_main import MainModule, Packed, import_main
from mainspring.concurrency._shared_block import SharedBlock, share_message
from mainspring.concurrency._worker_ledger import Ledger
from mainspring.concurrency._worker_messages import (
    MAX_MESSAGE_BYTES,
    ORDER,
    Kind,
    Message,
    Order,
    decode_message,
    encode_message,
    pickle_out_of_band,
)
from mainspring.errors import (
    MainImportError,
    MainspringError,
    RemoteTaskError,
    ResultNotPicklableError,
    TaskNotPicklableError,
)

INTERRUPT: Final = signal.SIGUSR2

_NUDGE_MS: Final = 10
_RUN, _DROP = "run", "drop"

Answer = tuple[Kind, bytes, list[memoryview]]


def be_worker(
    data: socket.socket,
    control: socket.socket,
    ledger: Ledger,
    slot: int,
    main: MainModule | None,
    initializer: Packed,
    speaker: Speaker | None = None,
    shared_memory: int | None = None,
) -> None:
    """Be a worker process until the pool says that it is enough."""
    worker = WorkerLoop(data, control, ledger, slot, main, shared_memory)
    if speaker is not None:
        worker.flush_talk = speaker(worker.talk)
    signal.signal(signal.SIGINT, _leave_to_the_parent)
    signal.signal(INTERRUPT, worker.on_interrupt)
    threading.Thread(target=worker.listen, name="worker-control", daemon=True).start()
    if worker.set_up(initializer):
        worker.serve()


def _nothing() -> None:
    """Flush nothing: nobody listens."""


def _leave_to_the_parent(*_: object) -> None:
    """Do nothing: Ctrl-C reaches all processes of a terminal. (SIG_IGN would be inherited by subprocesses.)"""


class WorkerLoop:
    """The work of one worker process.

    Attributes:
        flush_talk: sends what was said so far; called before each answer, which it must not come after.
    """

    flush_talk: Callable[[], None]

    def __init__(
        self,
        data: socket.socket,
        control: socket.socket,
        ledger: Ledger,
        slot: int,
        main: MainModule | None,
        shared_memory: int | None = None,
    ) -> None:
        self._data = data
        self._control = control
        self._ledger = ledger
        self._slot = slot
        self._main = main
        self._shared_memory = shared_memory
        self._blocks: dict[int, list[SharedBlock]] = {}  # of answers that the parent has not opened
        self._main_thread = threading.get_ident()
        self._claims: dict[int, str] = {}
        self._last_seen = 0  # numbers rise: what is not above has been run or dropped
        self._running = 0
        self._to_interrupt = 0
        self._talks_for = 0
        self._sending = threading.Lock()
        self.flush_talk = _nothing

    def set_up(self, initializer: Packed) -> bool:
        """Run the initializer; tell the pool, and return, whether it worked."""
        answer: Answer = (Kind.READY, b"", [])
        try:
            function, args, kwargs = initializer.unpack()
            if function is not None:
                function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # supervisor: the pool gets it
            answer = (Kind.SETUP_FAILED, pickle_error(error, task="the initializer"), [])
        self._send(0, answer, seconds=0.0)
        return answer[0] is Kind.READY

    def serve(self) -> None:
        """Receive and answer until the pool says exit, or closes its end."""
        decoder = FrameDecoder(max_bytes=MAX_MESSAGE_BYTES)
        while nbytes := self._data.recv_into(decoder.get_buffer()):
            for payload in decoder.buffer_updated(nbytes):
                message = decode_message(payload)
                if message.kind == Kind.EXIT:
                    return
                self._take(message)

    def listen(self) -> None:
        """Follow the control channel, in a thread of its own."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        while True:
            if not poller.poll(self._nudge()):
                continue
            order = self._control.recv(ORDER.size, socket.MSG_WAITALL)
            if not order:
                return
            self.obey(*ORDER.unpack(order))

    def obey(self, kind: int, number: int) -> None:
        """Give a task back if it has not begun, or interrupt it; let go of what the parent has taken."""
        if kind == Order.TAKEN:
            for block in self._blocks.pop(number, ()):
                block.close()
            return
        if self._claims.setdefault(number, _DROP) is _DROP:
            if number <= self._last_seen:
                self._claims.pop(number, None)  # it was done before we came; its answer is on the way
            else:
                self._control.sendall(ORDER.pack(Order.DROPPED, number))
        elif kind == Order.CANCEL:
            self._to_interrupt = number
            self._nudge()

    def _nudge(self) -> int | None:
        """Signal the main thread if it is to be interrupted; return the milliseconds until the next nudge.

        One signal is not enough: Python runs the handler between two instructions, so a signal that comes a
        moment before a system call waits there for as long as the call does.
        """
        number = self._to_interrupt
        if not number or number <= self._last_seen:
            return None
        signal.pthread_kill(self._main_thread, INTERRUPT)
        return _NUDGE_MS

    def on_interrupt(self, *_: object) -> None:
        """Raise in the running task if it is the one that was meant, once."""
        if self._running and self._running == self._to_interrupt:
            self._to_interrupt = 0
            raise CancelledError

    def _take(self, message: Message) -> None:
        number = message.number
        if self._claims.setdefault(number, _RUN) is _RUN:
            self._ledger.note(self._slot, number)
            self._talks_for = number
            started = current_clock().monotonic()
            answer = self._run(message)
            seconds = current_clock().monotonic() - started
            self._running = 0
            self._send(number, answer, seconds=seconds)
        self._last_seen = number
        self._claims.pop(number, None)

    def _run(self, message: Message) -> Answer:
        with_main = message.kind == Kind.CALL_WITH_MAIN
        try:
            if with_main:
                import_main(self._main)
            with_main = False
            function, args, kwargs = message.unpickle()
        except BaseException as error:  # noqa: BLE001  # supervisor: the caller gets it
            return Kind.ERROR, _pickle_loading_error(error, of_main=with_main), []
        if message.tell_begin:
            self._write(encode_message(message.number, Kind.BEGUN))
        try:
            result = self._call(message.number, function, args, kwargs)
        except BaseException as error:  # noqa: BLE001  # supervisor: the caller gets it
            return Kind.ERROR, pickle_error(error, task=task_name(function)), []
        try:
            return Kind.RESULT, *pickle_out_of_band(result)
        except Exception as error:  # noqa: BLE001  # supervisor: the caller gets it
            refusal = ResultNotPicklableError(
                task=task_name(function), kind=type(result).__qualname__, reason=str(error)
            )
            return Kind.ERROR, pickle_error(refusal, task=""), []

    def _call(self, number: int, function: Any, args: Any, kwargs: Any) -> Any:
        try:
            self._running = number
            if self._to_interrupt == number:  # the signal came a moment too early for its handler
                self._to_interrupt = 0
                raise CancelledError
            return function(*args, **kwargs)
        finally:
            self._running = 0

    def talk(self, payload: bytes) -> None:
        """Send what the running task says; from any thread."""
        self._write(encode_message(self._talks_for, Kind.TALK, payload))

    def _send(self, number: int, answer: Answer, *, seconds: float) -> None:
        kind, pickled, buffers = answer
        self.flush_talk()
        self._talks_for = 0
        if self._shared_memory is None or not number:
            self._write(encode_message(number, kind, pickled, buffers, seconds=seconds))
            return
        parts = share_message(pickled, buffers, self._shared_memory)
        if parts.blocks:
            self._blocks[number] = parts.blocks
        self._write(
            encode_message(
                number, kind, parts.pickled, parts.buffers, seconds=seconds, pickle_in_first=parts.pickle_in_first
            )
        )

    def _write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        with self._sending:
            for part in parts:
                self._data.sendall(part)


def task_name(function: Any) -> str:
    """Return what to call a function in messages; one that calls another may have a `__task_name__`."""
    own = getattr(function, "__task_name__", None)
    return (
        own if isinstance(own, str) else f"{getattr(function, '__qualname__', None) or type(function).__qualname__}()"
    )


def pickle_error(error: BaseException, *, task: str) -> bytes:
    """Return the pickle of `(error, note)`; another error speaks for one that cannot be raised elsewhere.

    SystemExit and its like would end the parent's loop, and StopIteration no future takes.
    """
    note = f"in worker process {os.getpid()}:\n{''.join(traceback.format_exception(error))}".rstrip()
    if not isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration)):
        try:
            pickled = pickle.dumps((error, note), 5)
            pickle.loads(pickled)
        except Exception:  # noqa: BLE001  # supervisor: the next line says it in a form that travels
            pass
        else:
            return pickled
    speaker = RemoteTaskError(task=task, kind=type(error).__qualname__, reason=str(error))
    return pickle.dumps((speaker, note), 5)


def _pickle_loading_error(error: BaseException, *, of_main: bool) -> bytes:
    kind = type(error).__qualname__
    refusal: MainspringError = TaskNotPicklableError(
        what="the task", reason=f"the worker could not load it: {kind}: {error}"
    )
    if of_main:
        refusal = MainImportError(kind=kind, reason=str(error))
    refusal.__cause__ = error
    return pickle_error(refusal, task="the task")
