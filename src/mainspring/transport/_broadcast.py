"""Broadcast: one message to many connections, where the slow ones harm nobody.

A message is encoded once for each kind of link, and the same bytes are written to all. A connection that takes
no more gets a bounded queue and one task that empties it; the others never wait for it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias, get_args

from mainspring.base import Statistic
from mainspring.errors import ClosedError, ConnectionClosedError, InvalidArgumentError
from mainspring.transport._connection import Connection, Prepared
from mainspring.transport._records import Bytes

log = logging.getLogger(__name__)

SlowPolicy: TypeAlias = Literal["drop-oldest", "drop-client", "conflate"]
"""What becomes of a subscriber that does not keep up: it misses old messages, it is cut off, or it gets the
latest message of each key."""

_WAIT_SECONDS: Final = 5.0


class BroadcastStatistic(Statistic):
    """Counters of one broadcast: subscribers now, messages in and out, what slow ones missed, who was cut off."""

    subscribers: int
    messages: int
    deliveries: int
    dropped: int
    cut: int


@dataclass(frozen=True, slots=True)
class BroadcastStats:
    """What a broadcast has done so far.

    Attributes:
        subscriber_count: now.
        slow_count: of these, those that do not keep up now.
        message_count: messages that were given to it.
        delivery_count: messages that were given to connections.
        dropped_count: messages that slow subscribers missed.
        cut_count: subscribers that were cut off because they were slow.
    """

    subscriber_count: int
    slow_count: int
    message_count: int
    delivery_count: int
    dropped_count: int
    cut_count: int


class Subscriber:
    """One connection of a broadcast.

    Attributes:
        dropped_count: messages that it missed.
    """

    __slots__ = ("_numbers", "connection", "dropped_count", "encoding", "outbox", "task", "waiting", "waiting_bytes")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.outbox = connection.link.outbox
        self.encoding = connection.link.encoding
        self.waiting: OrderedDict[Hashable, Prepared] = OrderedDict()
        self.waiting_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self.dropped_count = 0
        self._numbers = 0

    def __repr__(self) -> str:
        return f"<Subscriber {self.connection.peer} waiting={len(self.waiting)} dropped={self.dropped_count}>"

    def hold(self, message: Prepared, key: Hashable | None) -> None:
        """Let a message wait; it takes the place of one with the same key, if there is a key."""
        self._numbers += 1
        slot: Hashable = self._numbers if key is None else ("key", key)
        older = self.waiting.pop(slot, None)
        if older is not None:
            self._count_dropped(older)
        self.waiting[slot] = message
        self.waiting_bytes += len(message)

    def drop_oldest(self) -> None:
        """Forget the message that has waited longest."""
        self._count_dropped(self.waiting.popitem(last=False)[1])

    def next(self) -> Prepared:
        """Take the message that has waited longest."""
        _, message = self.waiting.popitem(last=False)
        self.waiting_bytes -= len(message)
        return message

    def _count_dropped(self, message: Prepared) -> None:
        self.waiting_bytes -= len(message)
        self.dropped_count += 1


class Broadcast:
    """Sends messages to many connections without waiting for any of them. Used from one loop.

    Args:
        policy: what becomes of a subscriber that does not keep up; "conflate" needs messages with keys.
        max_waiting: messages that wait for one slow subscriber, besides the 256 KiB on their way.
        max_waiting_bytes: and their bytes.
        name: of its statistic.

    Raises:
        InvalidArgumentError: an argument is outside of its range.
    """

    def __init__(
        self,
        *,
        policy: SlowPolicy = "drop-oldest",
        max_waiting: int = 1000,
        max_waiting_bytes: int = 4 << 20,
        name: str | None = None,
    ) -> None:
        if policy not in get_args(SlowPolicy):
            raise InvalidArgumentError(argument="policy", value=policy, expected=f"one of {get_args(SlowPolicy)}")
        for bound, value in (("max_waiting", max_waiting), ("max_waiting_bytes", max_waiting_bytes)):
            if value < 1:
                raise InvalidArgumentError(argument=bound, value=value, expected="1 or more")
        self._policy = policy
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._subscribers: dict[Connection, Subscriber] = {}
        self._statistic = BroadcastStatistic(name)

    def __repr__(self) -> str:
        return f"<Broadcast {self._policy} subscribers={len(self._subscribers)} messages={self._statistic.messages}>"

    def __len__(self) -> int:
        return len(self._subscribers)

    def add(self, connection: Connection) -> Subscriber:
        """Let a connection take part until it is removed or gone."""
        subscriber = self._subscribers.get(connection)
        if subscriber is None:
            subscriber = self._subscribers[connection] = Subscriber(connection)
            self._statistic.subscribers += 1
            connection.link.closed.add_done_callback(lambda _: self.remove(connection))
        return subscriber

    def remove(self, connection: Connection) -> None:
        """Let a connection take part no more; what waits for it is dropped. It stays open."""
        subscriber = self._subscribers.pop(connection, None)
        if subscriber is not None:
            self._statistic.subscribers -= 1
            self._statistic.dropped += len(subscriber.waiting)
            if subscriber.task is not None:
                subscriber.task.cancel()

    def send(
        self, message: Prepared | bytes, *, key: Hashable | None = None, to: Iterable[Subscriber] | None = None
    ) -> int:
        """Send a message; never waits. Return how many subscribers got it at once; for slow ones it waits.

        Args:
            message: bytes, or what `prepare` made.
            key: what the message is about; with "conflate", it takes the place of an older one that waits.
            to: only these subscribers; all when None.
        """
        prepared = message if isinstance(message, Prepared) else Prepared(message, is_text=False)
        sent, encoding = 0, ""
        frame: Sequence[Bytes] = ()
        self._statistic.messages += 1
        for subscriber in list(self._subscribers.values()) if to is None else to:
            outbox = subscriber.outbox
            if outbox.error is not None:
                continue  # it is removed when its link is gone
            if subscriber.waiting or subscriber.connection.is_full:
                self._hold(subscriber, prepared, key)
                continue
            if subscriber.encoding != encoding:
                encoding, frame = subscriber.encoding, prepared.frame_for(subscriber.connection.link)
            outbox.write(frame)
            subscriber.connection.note_sent(len(prepared))
            sent += 1
        self._statistic.deliveries += sent
        return sent

    async def close(self) -> None:
        """Drop what waits and forget all subscribers; their connections stay open."""
        tasks = [one.task for one in self._subscribers.values() if one.task is not None]
        for connection in list(self._subscribers):
            self.remove(connection)
        if tasks:
            await asyncio.wait(tasks, timeout=_WAIT_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stats(self) -> BroadcastStats:
        """Return what was done so far."""
        subscribers = self._subscribers.values()
        return BroadcastStats(
            subscriber_count=len(subscribers),
            slow_count=sum(1 for one in subscribers if one.task is not None),
            message_count=self._statistic.messages,
            delivery_count=self._statistic.deliveries,
            dropped_count=self._statistic.dropped,
            cut_count=self._statistic.cut,
        )

    def _hold(self, subscriber: Subscriber, message: Prepared, key: Hashable | None) -> None:
        before = subscriber.dropped_count
        subscriber.hold(message, key if self._policy == "conflate" else None)
        while len(subscriber.waiting) > self._max_waiting or (
            subscriber.waiting_bytes > self._max_waiting_bytes and len(subscriber.waiting) > 1
        ):
            if self._policy == "drop-client":
                self._cut(subscriber)
                return
            subscriber.drop_oldest()
        self._statistic.dropped += subscriber.dropped_count - before
        if subscriber.task is None:
            name = f"broadcast to {subscriber.connection.peer}"
            subscriber.task = asyncio.get_running_loop().create_task(self._empty(subscriber), name=name)

    def _cut(self, subscriber: Subscriber) -> None:
        self._statistic.cut += 1
        log.warning("%s did not keep up and is cut off", subscriber.connection.peer)
        self.remove(subscriber.connection)
        reason = "it did not keep up with what was sent to it"
        subscriber.connection.link.abort(ConnectionClosedError(what="the subscriber", reason=reason))

    async def _empty(self, subscriber: Subscriber) -> None:
        """Send what waits, as fast as the connection takes it."""
        try:
            while subscriber.waiting:
                await subscriber.connection.flush()
                if subscriber.waiting:
                    await subscriber.connection.write_prepared(subscriber.next())
                    self._statistic.deliveries += 1
        except (ConnectionClosedError, ClosedError) as error:
            log.debug("%s is gone while messages wait for it: %s", subscriber.connection.peer, error)
        finally:
            subscriber.task = None
