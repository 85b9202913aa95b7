"""The parent's end of one worker process."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final, Protocol, cast  # Any: tasks of any result

from mainspring.base import FrameDecoder, child_talk
from mainspring.concurrency._child import ChildProcess, start_child
from mainspring.concurrency._child_main import Packed, describe_main
from mainspring.concurrency._child_start import StartMethod, not_started
from mainspring.concurrency._shared_block import SharedBlock, share_message
from mainspring.concurrency._worker_ledger import Ledger
from mainspring.concurrency._worker_main import be_worker
from mainspring.concurrency._worker_messages import (
    MAX_MESSAGE_BYTES,
    ORDER,
    Kind,
    Message,
    Order,
    decode_message,
    encode_message,
)
from mainspring.concurrency._worker_task import WorkerTask, unpickle_error
from mainspring.errors import ChildStartError

Task = WorkerTask[Any]

MAX_WINDOW: Final = 16
"""Tasks in flight per worker at most, when they are short."""

_LONG_SECONDS: Final = 0.001  # a task this long hides the round trip; nothing waits behind it
_EOF_GRACE: Final = 0.1  # seconds for the last answers of an ended process; its pipe may be held by others
_JOIN_BYTES: Final = 1 << 16  # parts below travel in one write
_SOCKET_BYTES: Final = 1 << 22
_EXIT_GRACE: Final = 1.0  # seconds for a process that closed its end to end

_numbers = itertools.count(1)


class WorkerOwner(Protocol):
    """Who is told what happens to a worker: the pool."""

    def on_answers(self, worker: "Worker", seconds: float, successes: int, failures: int) -> None:
        """Tasks were answered, and there may be room for more."""
        ...

    def on_dropped(self, worker: "Worker", task: Task) -> None:
        """A task came back that the worker has not begun."""
        ...

    def on_lost(self, worker: "Worker") -> None:
        """The worker takes no more; its end is on the way."""
        ...


class Worker(asyncio.BufferedProtocol):
    """One worker process: what is in flight there, and how it is told.

    Attributes:
        in_flight: the tasks sent and not answered, by number, in the order they run in.
        window: tasks that may be in flight; 1 for long ones, so that none waits behind another.
    """

    child: ChildProcess
    in_flight: dict[int, Task]

    def __init__(
        self,
        owner: WorkerOwner,
        ledger: Ledger,
        slot: int,
        max_tasks: int | None,
        shared_memory: int | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._ledger = ledger
        self._slot = slot
        self._tasks_left = max_tasks
        self._is_retiring = False
        self._shared_memory = shared_memory
        self._blocks: dict[int, list[SharedBlock]] = {}  # of tasks in flight
        self.in_flight = {}
        self.window = 1
        self.lost = False
        self._seconds_per_task = _LONG_SECONDS
        self._paused = False
        self._decoder = FrameDecoder(max_bytes=MAX_MESSAGE_BYTES)
        self._outgoing: list[bytes | bytearray | memoryview] = []
        self._transport: asyncio.Transport | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    async def start(self, name: str, method: StartMethod, initializer: Packed) -> None:
        """Start the process and wait until it is ready.

        Raises:
            ChildStartError: the process did not start, or ended before it was ready.
            Exception: what the initializer raised.
        """
        self._ledger.note(self._slot, 0)
        main = describe_main() if method == "forkserver" else None
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                data, child_data = _socket_pair(ours, theirs)
                control, child_control = _socket_pair(ours, theirs)
            except OSError as error:
                raise not_started(name, error) from error
            args = (
                child_data,
                child_control,
                self._ledger,
                self._slot,
                main,
                initializer,
                child_talk.speaker(),
                self._shared_memory,
            )
            self.child = await start_child(be_worker, args, name=name, start_method=method)
            ours.pop_all()
        self._control = control
        self._loop.add_reader(control, self._on_control)
        try:
            await self._loop.create_unix_connection(lambda: self, sock=data)
            await self._until_ready()
        except BaseException:
            self.child.kill()
            await self.gone()
            raise

    async def _until_ready(self) -> None:
        ended = asyncio.ensure_future(self.child.wait())
        try:
            either: set[asyncio.Future[Any]] = {self._ready, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self._ready.done():
                await asyncio.wait({self._ready}, timeout=_EOF_GRACE)  # it may have said why
        finally:
            ended.cancel()
        if not self._ready.done():
            code = self.child.signal_name or self.child.exit_code
            raise ChildStartError(child=self.child.name, reason=f"it ended with {code} before it was ready")
        self._ready.result()

    async def gone(self) -> None:
        """Wait until the process has ended and its last answers are in; then let go of everything."""
        try:
            await self.child.wait()
            try:
                async with asyncio.timeout(_EOF_GRACE):  # noqa: TID251  # resilience lies above
                    await asyncio.shield(self._closed)  # shielded: it belongs to the protocol
            except TimeoutError:
                pass
        finally:
            self.child.kill()
            self._lose()
            with suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_GRACE):  # noqa: TID251  # resilience lies above
                    await self.child.wait()
            if self._transport is not None:
                self._transport.abort()
            if self._control is not None:
                self._loop.remove_reader(self._control)
                self._control.close()
                self._control = None
            for number in tuple(self._blocks):
                self._let_go(number)

    @property
    def has_room(self) -> bool:
        """Whether another task may be sent."""
        return len(self.in_flight) < self.window and not self._paused and self._tasks_left != 0

    def send(self, task: Task) -> None:
        """Give the worker a task; it runs after those in flight."""
        number = next(_numbers)
        at_once = not self.in_flight
        task.recalled = False  # whatever another worker was asked
        self.in_flight[number] = task
        if self._tasks_left is not None:
            self._tasks_left -= 1
        parts = self._encode(number, task)
        if at_once and not self._outgoing:
            self._write(parts)
            return
        # One write for all that come in this turn of the loop.
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing += parts

    def _encode(self, number: int, task: Task) -> "list[bytes | bytearray | memoryview]":
        tell_begin = task.on_begin is not None
        if self._shared_memory is None:
            return encode_message(number, task.kind, task.pickled, task.buffers, tell_begin=tell_begin)
        parts = share_message(task.pickled, task.buffers, self._shared_memory)
        if parts.blocks:
            self._blocks[number] = parts.blocks
        return encode_message(
            number,
            task.kind,
            parts.pickled,
            parts.buffers,
            pickle_in_first=parts.pickle_in_first,
            tell_begin=tell_begin,
        )

    def retire_when_idle(self) -> None:
        """Take no more, and end when nothing is in flight."""
        self._is_retiring = True
        self._tasks_left = 0
        self._retire_if_spent()

    def retire(self) -> None:
        """Take no more, and let the process end after what is in flight."""
        self._tasks_left = 0
        self._flush()
        self._write(encode_message(0, Kind.EXIT))

    def recall(self, count: int) -> None:
        """Ask for the last `count` tasks back, those that have not begun; the last is the first to come."""
        for number, task in list(reversed(self.in_flight.items()))[:count]:
            if not task.recalled:
                task.recalled = True
                self._order(Order.RECALL, number)

    def keep_only_first(self) -> None:
        """Ask for all tasks but the first back, and take no other until it is answered."""
        self.window = 1
        self.recall(len(self.in_flight) - 1)

    def cancel(self, task: Task, *, grace: float) -> None:
        """Take a task back or interrupt it; kill the process if it is still there after `grace` seconds."""
        for number, candidate in self.in_flight.items():
            if candidate is task:
                self._order(Order.CANCEL, number)
                self._loop.call_later(grace, self._kill_if_in_flight, number)
                return

    def unfinished(self) -> Iterator[tuple[Task, bool]]:
        """Yield what was in flight when the worker was lost, and whether it had begun."""
        last = self._ledger.last(self._slot)
        for number, task in self.in_flight.items():
            yield task, number <= last

    # The protocol, called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # a stream socket gives one

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._decoder.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        seconds, successes, failures = 0.0, 0, 0
        for payload in self._decoder.buffer_updated(nbytes):
            message = decode_message(payload)
            if message.kind == Kind.TALK:
                self._on_talk(message)
                continue
            if message.kind == Kind.BEGUN:
                self.in_flight[message.number].begin()
                continue
            task = self.in_flight.pop(message.number, None)
            if task is None:
                self._on_setup(message)
                continue
            seconds += message.seconds
            if task.answer(message):
                successes += 1
            else:
                failures += 1
            self._let_go(message.number)
            if message.shared:
                self._order(Order.TAKEN, message.number)
        if answers := successes + failures:
            self._adapt_window(seconds / answers)
            self._owner.on_answers(self, seconds, successes, failures)
            self._retire_if_spent()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._owner.on_answers(self, 0.0, 0, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set_result(None)
        self._lose()
        self._loop.call_later(_EXIT_GRACE, self.child.kill)

    def _on_talk(self, message: Message) -> None:
        """Pass on what a task says, in the context of its caller."""
        task = self.in_flight.get(message.number)
        if task is None:
            child_talk.listen(bytes(message.pickled))
        else:
            task.context.run(child_talk.listen, bytes(message.pickled))

    def _on_setup(self, message: Message) -> None:
        if message.kind == Kind.READY:
            self._ready.set_result(None)
        elif message.kind == Kind.SETUP_FAILED:
            error = unpickle_error(message)
            error.add_note("raised by the initializer of a WorkerPool, which is closed by it")
            self._ready.set_exception(error)

    def _on_control(self) -> None:
        """Take what the worker gave back."""
        if self._control is None:
            return
        try:
            received = self._control.recv(ORDER.size * 1024)
        except OSError:  # it died with orders unread
            received = b""
        if not received:
            self._loop.remove_reader(self._control)
        for _, number in ORDER.iter_unpack(received):
            task = self.in_flight.pop(number, None)
            if task is None:
                continue
            self._let_go(number)
            task.recalled = False
            if self._tasks_left is not None and not self.lost and not self._is_retiring:
                self._tasks_left += 1
            self._owner.on_dropped(self, task)
        if self._is_retiring:
            self._retire_if_spent()

    def _order(self, order: Order, number: int) -> None:
        try:
            if self._control is not None:
                self._control.send(ORDER.pack(order, number))
        except OSError:
            self.child.kill()  # it does not read its orders any more, or it is gone

    def _kill_if_in_flight(self, number: int) -> None:
        if number in self.in_flight:
            self.child.kill()

    def _adapt_window(self, seconds: float) -> None:
        """Follow the recent length of tasks: the shorter they are, the more the round trip would cost."""
        self._seconds_per_task += 0.3 * (seconds - self._seconds_per_task)
        if not self.lost:
            short = self._seconds_per_task < _LONG_SECONDS
            share = int(_LONG_SECONDS / max(self._seconds_per_task, 1e-6))
            self.window = min(MAX_WINDOW, 1 + share) if short else 1

    def _retire_if_spent(self) -> None:
        if self._tasks_left == 0 and not self.in_flight and not self.lost:
            self._lose()
            self.retire()

    def _let_go(self, number: int) -> None:
        for block in self._blocks.pop(number, ()):
            block.close()

    def _flush(self) -> None:
        if self._outgoing:
            parts, self._outgoing = self._outgoing, []
            self._write(parts)

    def _write(self, parts: "list[bytes | bytearray | memoryview]") -> None:
        if self._transport is None or self._transport.is_closing():
            return
        short: list[bytes | bytearray | memoryview] = []
        for part in parts:
            if len(part) <= _JOIN_BYTES:
                short.append(part)
                continue
            self._transport.write(b"".join(short))
            self._transport.write(part)
            short.clear()
        if short:
            self._transport.write(b"".join(short))

    def _lose(self) -> None:
        if self.lost:
            return
        self.lost = True
        self.window = 0
        self._owner.on_lost(self)


def _socket_pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets: our end, which never blocks, and the child's."""
    our_end, their_end = socket.socketpair()
    ours.enter_context(our_end)
    theirs.enter_context(their_end)
    our_end.setblocking(False)
    for end in (our_end, their_end):
        # A large message in one call instead of five: a quarter less CPU per MiB. The system may grant less.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
    return our_end, their_end
