"""A connection to a NATS server with JetStream, from its making to its loss: what an edge over machines travels by.

A lost connection is not mended: everything of it is given up, and the ends of the edge begin anew on the next one.
So what was on its way at that moment is told apart by message ids and stream numbers, never by what a client's
buffers may hold.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Final  # Any: nats-py, which may be absent

from mainspring.base import abort_transport, load_extra
from mainspring.dataflow._jetstream import JetStream
from mainspring.errors import EdgeUnavailableError
from mainspring.resilience import timeout

_CONNECT_TIMEOUT: Final = 5.0
_ANSWER_TIMEOUT: Final = 10.0
_PING_INTERVAL: Final = 5
_ACK_WAIT: Final = 60.0  # until the server sends a message again whose acknowledgement was lost on the way
_HEADER_BYTES: Final = 512  # room for the message id in what the server takes as one message

Deliver = Callable[[Any], Awaitable[None]]


class NatsSession:
    """One connection.

    Attributes:
        lost: set when it is of no use any more.
        reason: why.
        max_bytes: the longest message that the server takes.
        made_at: when the stream was made: another one of its name has other numbers.
        last_number: of the stream when this was opened.
    """

    def __init__(self, stream: JetStream) -> None:
        self._stream = stream
        self._nats: Any = load_extra("nats", feature="an edge over NATS", extra="nats")
        self._api: Any = load_extra("nats.js.api", feature="an edge over NATS", extra="nats")
        self._errors: Any = load_extra("nats.errors", feature="an edge over NATS", extra="nats")
        self._api_errors: Any = load_extra("nats.js.errors", feature="an edge over NATS", extra="nats")
        self._client: Any = self._nats.NATS()
        self._jetstream: Any = self._client.jetstream(timeout=_ANSWER_TIMEOUT, publish_async_max_pending=1 << 20)
        self._is_open = False
        self._has_ended = asyncio.Event()  # its client says so
        self.lost = asyncio.Event()
        self.reason = ""
        self.made_at: object = None
        self.last_number = 0

    @property
    def max_bytes(self) -> int:
        """The longest payload that the server takes."""
        return int(self._client.max_payload) - _HEADER_BYTES

    async def open(self) -> None:
        """Connect, and make the stream unless it is there.

        Raises:
            EdgeUnavailableError: the server is away, refuses, or has something else under the stream's name.
        """

        async def lose() -> None:
            self.fail("the connection was lost")

        async def end() -> None:
            self.fail("the connection was lost")
            self._has_ended.set()

        async def complain(error: Exception) -> None:
            if not self._is_open:
                raise error  # ends the client's attempts: it would make more of them
            self.fail(f"{type(error).__name__}: {error}")

        try:
            with self._mapped():
                await self._client.connect(
                    self._stream.url,
                    allow_reconnect=False,
                    connect_timeout=_CONNECT_TIMEOUT,
                    ping_interval=_PING_INTERVAL,
                    error_cb=complain,
                    disconnected_cb=lose,
                    closed_cb=end,
                    name=f"mainspring dataflow {self._stream.stream}",
                )
                self._is_open = True
                await self._make_stream()
                await self._note_numbers()
        except BaseException:
            await self.close()
            raise

    def fail(self, reason: str) -> None:
        """Note that it is of no use any more, and why; the first reason counts."""
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    def unavailable(self, reason: str) -> EdgeUnavailableError:
        """Return what to raise."""
        return EdgeUnavailableError(stream=self._stream.stream, address=self._stream.address, reason=reason)

    async def close(self) -> None:
        """Send what is still to be sent, and close; who is cancelled meanwhile waits for it all the same."""
        closing = asyncio.create_task(self._close(), name="dataflow-nats-close")
        cancellation: asyncio.CancelledError | None = None
        while not closing.done():  # within its limits
            try:
                await asyncio.wait([closing])
            except asyncio.CancelledError as error:
                cancellation = error
        if cancellation is not None:
            raise cancellation
        await closing

    async def _close(self) -> None:
        failures = (self._errors.Error, OSError, TimeoutError)
        tasks = self._client_tasks()
        with contextlib.suppress(*failures):
            if self._is_open and not self.lost.is_set():
                await self._client.flush(_ANSWER_TIMEOUT)
        with contextlib.suppress(*failures):
            async with timeout(_ANSWER_TIMEOUT):
                was_closing = self._client.is_closed
                await self._client.close()
                if was_closing and self._is_open:  # by a task of its own, which may not be over
                    await self._has_ended.wait()
        transport = self._client._transport
        writer = None if transport is None else transport._io_writer
        if writer is not None:  # nats-py leaves it open when the server was gone first, or does not answer
            abort_transport(writer.transport)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ANSWER_TIMEOUT)

    def _client_tasks(self) -> "set[asyncio.Task[object]]":
        """Return the tasks of the client, which it cancels and does not wait for."""
        client = self._client
        subscriptions = [one._wait_for_msgs_task for one in client._subs.values()]
        tasks = (client._reading_task, client._ping_interval_task, client._flusher_task, *subscriptions)
        return {task for task in tasks if task is not None and not task.done()}

    async def publish(self, subject: str, payload: bytes, message_id: str) -> "asyncio.Future[Any]":
        """Send a message; the future is done when the server has stored it, or knows its id already."""
        with self._mapped():
            headers = {"Nats-Msg-Id": message_id, "Nats-Expected-Stream": self._stream.stream}
            future: asyncio.Future[Any] = await self._jetstream.publish_async(subject, payload, headers=headers)
        return future

    async def count_stored(self, subjects: str) -> dict[str, int]:
        """Return how many messages that nobody is done with lie under these subjects, by subject."""
        with self._mapped():
            info = await self._jetstream.stream_info(self._stream.stream, subjects_filter=subjects)
        return dict(info.state.subjects or {})

    async def renew_consumer(self, receiver: int, *, most: int) -> None:
        """Give a worker a new consumer: it begins with the first message that nobody is done with.

        Args:
            receiver: the worker's place.
            most: messages that it may have without being done with them.
        """
        name = self._stream.consumer(receiver)
        config = self._api.ConsumerConfig(
            durable_name=name,
            filter_subject=self._stream.subjects_of(receiver),
            ack_policy=self._api.AckPolicy.EXPLICIT,
            ack_wait=_ACK_WAIT,
            max_ack_pending=most,
        )
        with self._mapped():
            with contextlib.suppress(self._api_errors.NotFoundError):
                await self._jetstream.delete_consumer(self._stream.stream, name)
            await self._jetstream.add_consumer(self._stream.stream, config)

    async def count_unfinished(self, receiver: int) -> int:
        """Return how many messages a worker has not got, or is not done with."""
        with self._mapped():
            info = await self._jetstream.consumer_info(self._stream.stream, self._stream.consumer(receiver))
        return int(info.num_pending or 0) + int(info.num_ack_pending or 0)

    @contextlib.asynccontextmanager
    async def inbox(self, deliver: Deliver) -> AsyncGenerator[str]:
        """Return a subject of one's own; what comes there is given to `deliver`."""
        name = self._client.new_inbox()
        with self._mapped():
            subscription = await self._client.subscribe(name, cb=deliver)
        try:
            yield name
        finally:
            with contextlib.suppress(self._errors.Error, OSError):
                await subscription.unsubscribe()

    async def ask_for(self, receiver: int, count: int, *, within: float, inbox: str) -> None:
        """Ask for so many messages; a status comes when there are not that many in so many seconds."""
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream.stream}.{self._stream.consumer(receiver)}"
        request = {"batch": count, "expires": int(within * 1e9)}
        with self._mapped():
            await self._client.publish(subject, json.dumps(request).encode(), reply=inbox)

    async def acknowledge(self, reply: str, *, wait: bool = False) -> None:
        """Say that a message is done for good; with `wait`, until the server knows of it and of those before."""
        with self._mapped():
            if wait:
                await self._client.request(reply, timeout=_ANSWER_TIMEOUT)
            else:
                await self._client.publish(reply)

    async def flush(self) -> None:
        """Wait until the server has heard everything."""
        with self._mapped():
            await self._client.flush(_ANSWER_TIMEOUT)

    async def _make_stream(self) -> None:
        stream, subjects = self._stream, [self._stream.all_subjects]
        try:
            config = (await self._jetstream.stream_info(stream.stream)).config
        except self._api_errors.NotFoundError:
            await self._jetstream.add_stream(
                self._api.StreamConfig(
                    name=stream.stream,
                    subjects=subjects,
                    retention=self._api.RetentionPolicy.WORK_QUEUE,
                    storage=self._api.StorageType(stream.storage),
                    num_replicas=stream.replicas,
                )
            )
            return
        if config.subjects != subjects or config.retention != self._api.RetentionPolicy.WORK_QUEUE:
            raise self.unavailable("it is there and is no edge of a dataflow: choose another name")

    async def _note_numbers(self) -> None:
        # nats-py before 2.15 leaves out when a stream was made
        answer = await self._client.request(f"$JS.API.STREAM.INFO.{self._stream.stream}", timeout=_ANSWER_TIMEOUT)
        info: dict[str, Any] = json.loads(answer.data)
        self.made_at, self.last_number = info.get("created"), info.get("state", {}).get("last_seq", 0)

    @contextlib.contextmanager
    def _mapped(self) -> Generator[None]:
        """Map the errors of nats-py; let a cancellation out that it kept to itself, which would be the last one."""
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            try:
                yield
            finally:
                if task is not None and task.cancelling() > before:
                    raise asyncio.CancelledError
        except (self._errors.Error, OSError, TimeoutError) as error:
            raise self.unavailable(f"{type(error).__name__}: {error}".removesuffix(": ")) from error
